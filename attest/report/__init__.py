"""Verdicts and findings for people and for programs."""
