"""`DPoPAuth` for httpx2, with which the official `mcp` SDK sends its requests since version 2."""

from __future__ import annotations

import httpx2

from notme_git.tokens.flow import Flow


class DPoPAuth(Flow, httpx2.Auth):
    """As `notme_git.tokens.auth.DPoPAuth`. For `httpx2.Client` and `AsyncClient`."""
