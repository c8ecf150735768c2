"""Commits made from other commits: signed records of it, and verdicts that follow them."""
