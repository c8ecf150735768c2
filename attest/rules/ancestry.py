"""What is in the history of a commit that a policy names: ids prove it, where a date proves nothing.

An id is a hash over the parents' ids. Nobody can put a new commit into the history of an old one, whatever date
it bears.
"""

from __future__ import annotations

from collections.abc import Iterable

from attest.errors import Error, Reason, UnavailableError
from attest.repository import Repository


class Ancestry:
    """Answers for one repository, None where there is none to ask. Each named history is walked once, when asked."""

    def __init__(self, repo: Repository | None = None) -> None:
        self._repo = repo
        self._known: dict[str, _Ids] = {}

    def has(self, tip: str, object_id: str) -> bool:
        """Whether `object_id` is the commit `tip` or one of its ancestors.

        Raises `UnavailableError` where the history cannot be walked.
        """
        if tip not in self._known:
            self._known[tip] = self._walk(tip)
        return bytes.fromhex(object_id) in self._known[tip]

    def _walk(self, tip: str) -> _Ids:
        if self._repo is None:
            raise _unknown("its place in the history is not known here", "ask over a repository")
        try:
            return _Ids(bytes.fromhex(oid) for oid in self._repo.list_range(tip))
        except Error as error:
            raise _unknown(
                f"the history of {tip}, which the policy names, cannot be walked: {error.message}",
                "fetch that commit and its history",
            ) from None


class _Ids:
    """Ids of one length in one string: a million of them take 20 MB, and five times that as a set."""

    def __init__(self, ids: Iterable[bytes]) -> None:
        found = sorted(ids)
        self._size, self._sorted = len(found[0]) if found else 1, b"".join(found)

    def __contains__(self, wanted: bytes) -> bool:
        size, low, high = self._size, 0, len(self._sorted) // self._size
        while low < high:
            middle = (low + high) // 2
            if self._sorted[middle * size : middle * size + size] < wanted:
                low = middle + 1
            else:
                high = middle
        return self._sorted[low * size : low * size + size] == wanted


def _unknown(message: str, hint: str) -> UnavailableError:
    return UnavailableError(message, hint=hint, reason=Reason.CONTEXT_UNKNOWN)
