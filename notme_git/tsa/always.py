"""A time-stamp for each signature as it is made (`notme.timestamp = always`), in a time that git can wait for.

The signature is good without it: it has its authority's time-stamp. So what goes wrong makes no commit fail. It is said
in one sentence, counted in a note that `notme-git doctor` shows, and for a minute nobody is asked again, so that a
rebase of a hundred commits waits once.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from attest import stampable, stamps
from attest.errors import Error, UnavailableError
from attest.gitobject import Signature
from notme_git.tsa import missed
from notme_git.tsa.address import Address
from notme_git.tsa.setting import ALWAYS, Setting, Settings

if TYPE_CHECKING:
    from notme_git.tsa.client import Client, Stamped

PATIENCE_S = 2.0
"""For one signature, however many authorities are asked. Looking up a name has no end of its own, so a thread waits."""

PAUSE_S = 60.0
"""For which an authority that did not answer is not asked again."""


@dataclass(slots=True)
class Always:
    """Stamps what a home signs. Not for several threads."""

    home: Path
    settings: Settings
    _clients: dict[Address, Client] = field(default_factory=dict, repr=False)
    _resting: dict[Address, float] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, home: Path, environ: Mapping[str, str]) -> Always:
        """For a home; git is asked in this environment."""
        return cls(home, Settings(environ))

    def stamp(self, object_id: str, signature: Signature, folder: str, at: datetime) -> str:
        """Time-stamp the signature of an object where the configuration in `folder` asks for it.

        Returns what the person should know, empty where nothing went wrong; raises nothing.
        """
        origin = ""
        try:
            setting = self.settings.of(folder)
            if setting.when != ALWAYS:
                return ""
            value, end = stampable.value_of(signature), time.monotonic() + PATIENCE_S
            for address in setting.addresses:
                origin = address.origin
                made = self._ask(address, setting, value, end)
                stamps.add_other(self.home, object_id, made.token)
        except Error as error:
            missed.note(self.home, folder, origin, error.message, int(at.timestamp()))
            return f"no time-stamp by others: {error.message}; notme-git timestamp makes it later"
        return ""

    def _ask(self, address: Address, setting: Setting, value: bytes, end: float) -> Stamped:
        now = time.monotonic()
        if self._resting.get(address, -math.inf) > now:
            raise UnavailableError(f"{address.origin} did not answer a moment ago, and is not asked again yet")
        from notme_git.tsa.client import Client  # what only asking needs

        client = self._clients.pop(address, None) or Client(address, timeout_s=PATIENCE_S)
        try:
            made = _within(end - now, client, value, setting)
        except Error:
            # A client whose thread may still be waiting is nobody's any more.
            self._resting[address] = time.monotonic() + PAUSE_S
            raise
        self._clients[address] = client
        return made


def _within(seconds: float, client: Client, value: bytes, setting: Setting) -> Stamped:
    """What the client gets until then; `UnavailableError` else."""
    found: list[Stamped | Error] = []

    def work() -> None:
        try:
            found.append(client.stamp(value, setting.stampers()))
        except Error as error:
            found.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(max(0.0, seconds))
    made = found[0] if found else UnavailableError(f"{client.address.origin} gave no answer in time")
    if isinstance(made, Error):
        raise made
    return made
