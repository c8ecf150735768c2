"""Signatures that no authority of ours stands behind: whose keys, whose roots, whose tools (issue: every signature)."""
