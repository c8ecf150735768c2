"""What goes out: JSON, and one shape for every error, `{"error": TEXT}` with a status that says the kind."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from attest.errors import Error, MalformedError, RefusedError, UnavailableError, UsageError

NO_STORE = {"Cache-Control": "no-store"}
RETRY_AFTER_S = 1
_ENCODER = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False)


class HttpError(Exception):
    """An answer other than success: `status`, the text under `error`, and further fields."""

    def __init__(
        self,
        status: int,
        error: str,
        *,
        headers: Mapping[str, str] | None = None,
        more: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(error)
        self.status = status
        self.headers = headers
        self.body = {"error": error, **(more or {})}

    def response(self) -> Response:
        """As it goes out."""
        return answer(self.body, self.status, {**NO_STORE, **(self.headers or {})})


def answer(body: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON answer; what is not said to be cacheable is not."""
    return Response(_ENCODER.encode(body).encode(), status, headers=headers or NO_STORE, media_type="application/json")


def of_error(error: Error) -> HttpError:
    """The answer to an error of ours that no handler gave a better one."""
    if isinstance(error, UnavailableError):
        retry = {"Retry-After": str(RETRY_AFTER_S)}
        return HttpError(503, "authority unavailable: try again", headers=retry)
    if isinstance(error, MalformedError | UsageError):
        return HttpError(400, error.message)
    return HttpError(403 if isinstance(error, RefusedError) else 401, error.message)
