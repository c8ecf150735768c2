"""Sign in git as an AI agent, on behalf of a named human."""

__version__ = "0.1.0"
