"""`DPoPAuth` for httpx: `httpx.Client(auth=DPoPAuth(source, audience))`."""

from __future__ import annotations

import httpx

from notme_git.tokens.flow import Flow


class DPoPAuth(Flow, httpx.Auth):
    """Tokens for `audience` from `source`, and a proof with every request. For `Client` and `AsyncClient`."""
