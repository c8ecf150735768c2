"""What `notme-git setup` does to git's configuration, and how `setup --undo` takes it back.

A setup is made in this order, and may be killed between any two steps:

1. Hold this home's setup lock and git's lock on the configuration file.
2. Edit a copy of the file as it was before any setup, with `git config`.
3. Write the record: what the file was, what it will be, which values were there. On disk before step 4.
4. Put the edited copy in the file's place in one step.

So the file is always as it was or as it shall be, and whenever it is ours the record is there. A second
setup or an undo begins by finding out which, and clears away what a killed one left.

Undo restores the file byte for byte where nobody else changed it since. Where somebody did, only values
that are still the ones setup wrote are put back; a value changed since is its owner's.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from attest.errors import RefusedError, UnavailableError
from notme_git import gitconfig, previous, remains, wanted
from notme_git.gitconfig import LOCK_ATTEMPTS, LOCK_PAUSE_S, ConfigFile, GitConfig

ALLOWED_SIGNERS = "gpg.ssh.allowedSignersFile"

KEYS = (
    "gpg.format",
    "gpg.x509.program",
    "user.signingkey",
    "commit.gpgsign",
    "tag.gpgsign",
    "author.name",
    "author.email",
    "committer.name",
    "committer.email",
    "notme.previousX509Program",
    # Later than version 0.1.0, so absent from records that it wrote:
    "gpg.ssh.program",
    "gpg.program",
    "notme.previousSshProgram",
    "notme.previousOpenpgpProgram",
    ALLOWED_SIGNERS,
    wanted.HUMAN_SIGNS,
    wanted.AUTO,
    wanted.DEFAULT_KEY,
)
_FIRST_KEYS = 10

MAX_RECORD_BYTES = 16 * gitconfig.MAX_CONFIG_BYTES
"""The configuration in base64, and values out of it once more, at worst six characters of JSON a byte."""

_DRAFT = "draft-"

Values = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Applied:
    """What setup left. `shadowed`: keys with another value in force, from an include or a worktree's own file."""

    file: Path
    previous_programs: tuple[str, ...]
    shadowed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Undone:
    """What undo left. `exact`: the very bytes from before setup. `kept`: keys whose value was changed since."""

    file: Path
    exact: bool
    kept: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """For a person."""
        if self.exact:
            return f"{self.file} is what it was before setup, byte for byte"
        kept = f"; changed since and left alone: {', '.join(self.kept)}" if self.kept else ""
        return f"{self.file} was edited since setup: what setup had set was put back value by value{kept}"


@dataclass(frozen=True, slots=True)
class _Record:
    """What is remembered of one configuration file.

    `original` is the file before setup (None: absent), with later edits by others worked in if `edited`.
    `states` are SHA-256 of the file as setup leaves or found it, `previous` the original's values, and
    `written` every value a setup wrote. `file` is the path, for whoever reads the record.
    """

    original: bytes | None
    edited: bool
    states: tuple[str, ...]
    previous: Values
    written: Values
    file: str = ""

    def covers(self, current: bytes | None) -> bool:
        """Whether nobody but setup changed the file."""
        return current == self.original or (current is not None and _digest(current) in self.states)

    def encode(self) -> bytes:
        """JSON. Bytes that are not UTF-8 keep as lone surrogates."""
        value = {
            "version": 1,
            "file": self.file,
            "original": None if self.original is None else base64.b64encode(self.original).decode("ascii"),
            "edited": self.edited,
            "states": self.states,
            "previous": {key: list(values) for key, values in self.previous.items()},
            "written": {key: list(values) for key, values in self.written.items()},
        }
        return json.dumps(value, indent=1).encode("ascii") + b"\n"

    @classmethod
    def read(cls, path: Path) -> _Record | None:
        """The record at `path`, None where there is none; `UnavailableError` for one that setup did not write."""
        with gitconfig.file_errors(path):
            try:
                with open(path, "rb") as file:
                    data = file.read(MAX_RECORD_BYTES + 1)
            except FileNotFoundError:
                return None
        try:
            if len(data) > MAX_RECORD_BYTES:
                raise ValueError("too large")
            return cls._parse(json.loads(data))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise UnavailableError(
                f"{path} is not a record that setup wrote ({error})",
                hint="its `original` is the former git configuration in base64; restore that by hand, then remove it",
            ) from None

    @classmethod
    def _parse(cls, value: dict[str, Any]) -> _Record:
        if value["version"] != 1 or not isinstance(value["edited"], bool):
            raise ValueError("of another version")
        original = value["original"]
        return cls(
            original=None if original is None else base64.b64decode(original, validate=True),
            edited=value["edited"],
            states=_strings(value["states"]),
            previous=_values(value["previous"]),
            written=_values(value["written"]),
            file=str(value["file"]),
        )


def config_file(environ: Mapping[str, str], *, everywhere: bool, directory: Path = Path()) -> Path:
    """The configuration file of the user (`everywhere`), or of the repository at `directory`.

    Raises `UsageError` outside a repository, `UnavailableError` without git or where git cannot go on.
    """
    if everywhere:
        return gitconfig.global_file(environ)
    return GitConfig.find(environ).repository_file(directory)


def apply(home: Path, values: Mapping[str, str], *, config_file: Path, environ: Mapping[str, str]) -> Applied:
    """Put `values` (`wanted`) into `config_file`, and remember what was there.

    May be repeated, with others. Raises `UnavailableError` when the configuration is broken, held by another git or
    cannot be written; it is as before then.
    """
    git, file = GitConfig.find(environ), ConfigFile.locate(config_file)
    wanted_values: dict[str, tuple[str, ...]] = {key: (value,) for key, value in values.items()}
    with _held(home, file) as record_path:
        current, now = file.read(), git.in_file(KEYS, file.path)
        programs = _previous_programs(git, home, config_file, values, now)
        wanted_values |= {key: (program,) for key, program in programs.items()}
        before = _before(git, record_path, current, now)
        if wanted.AUTO in values and (said := before.previous[wanted.SIGNS]):
            wanted_values[wanted.HUMAN_SIGNS] = ("true" if git.is_true(wanted.SIGNS, said[-1]) else "false",)
        edited = _edited(git, record_path.parent, before.original, wanted_values)
        record = _Record(
            original=before.original,
            edited=before.edited,
            states=tuple(_digest(state) for state in (current, edited) if state is not None),
            previous=before.previous,
            written={key: tuple(dict.fromkeys((*before.written[key], *wanted_values.get(key, ())))) for key in KEYS},
            file=str(file.path),
        )
        gitconfig.replace_file(record_path, record.encode(), mode=0o600)
        file.replace(edited)
    in_force = git.in_force_beside(wanted_values, config_file)
    shadowed = tuple(key for key, value in wanted_values.items() if _other(git, key, in_force[key][-1:], value))
    return Applied(file.path, tuple(programs.values()), shadowed)


def before(home: Path, keys: Iterable[str], *, config_file: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """What git went by, of these keys, where no setup of ours had a say: the last value of each, empty for none."""
    git, file = GitConfig.find(environ), ConfigFile.locate(config_file)
    in_force = git.in_force_beside(keys, config_file)
    record = _Record.read(_record_path(home, file))
    found = {key: values[-1] if values else "" for key, values in in_force.items()}
    if record is None:
        return found
    for key, value in found.items():
        if key in record.written and value in record.written[key]:
            others = (*in_force[key][:-1], *record.previous[key])  # what a file of less weight says still counts
            found[key] = others[-1] if others else ""
    return found


def undo(home: Path, *, config_file: Path, environ: Mapping[str, str]) -> Undone:
    """Take back what setup did to `config_file`, and forget it.

    Raises `RefusedError` where there is nothing to take back, `UnavailableError` when that cannot be done.
    """
    file = ConfigFile.locate(config_file)
    if not _record_path(home, file).exists():
        raise _nothing(home, file, environ)
    with _held(home, file) as record_path:
        record, current = _Record.read(record_path), file.read()
        if record is None:
            raise _nothing(home, file, environ)
        kept: tuple[str, ...] = ()
        restored, exact = record.original, record.covers(current) and not record.edited
        if not record.covers(current):
            git = GitConfig.find(environ)
            restored, kept = _withdrawn(git, record_path.parent, current, git.in_file(KEYS, file.path), record)
        if restored != current:
            file.replace(restored)
        with gitconfig.file_errors(record_path):
            record_path.unlink()
            gitconfig.sync_folder(record_path.parent)
    return Undone(file.path, exact, kept)


def files(home: Path) -> list[Path]:
    """The configuration files that are set up from `home`, by its records; they may be gone meanwhile."""
    records = [_Record.read(path) for path in sorted((home / "setup").glob("*.json"))]
    return sorted(Path(record.file) for record in records if record is not None)


def state(home: Path, file: Path, environ: Mapping[str, str]) -> str:
    """What `file` signs as by now, as `remains.signs_as` has it; empty where that was taken out or the file is gone."""
    if not file.exists():
        return ""
    return remains.signs_as(GitConfig.find(environ).in_file(KEYS, file), home)


def _nothing(home: Path, file: ConfigFile, environ: Mapping[str, str]) -> RefusedError:
    hint = "name the place that was set up: its repository, or --global; NOTME_HOME names the home"
    with contextlib.suppress(UnavailableError):
        left = remains.by_hand(file.path, GitConfig.find(environ).in_file(KEYS, file.path))
        hint = f"where that home is gone, take it out by hand: {left}" if left else hint
    return RefusedError(f"{file.path} was not set up from {home}, or that was undone", hint=hint)


def _before(git: GitConfig, record_path: Path, current: bytes | None, now: Values) -> _Record:
    """The file before any setup: as remembered; as it is, the first time; or edited since, without what is ours."""
    record = _Record.read(record_path)
    if record is None:
        return _Record(current, False, (), now, dict.fromkeys(KEYS, ()))
    if record.covers(current):
        return record
    original, kept = _withdrawn(git, record_path.parent, current, now, record)
    previous = {key: now[key] if key in kept else record.previous[key] for key in KEYS}
    return _Record(original, True, (), previous, record.written)


def _withdrawn(
    git: GitConfig, folder: Path, current: bytes | None, now: Values, record: _Record
) -> tuple[bytes | None, tuple[str, ...]]:
    """`current` without our values, and the keys whose values, changed since setup, were kept."""
    ours = [key for key in KEYS if len(now[key]) == 1 and now[key][0] in record.written[key]]
    kept = tuple(key for key in KEYS if key not in ours and tuple(now[key]) != tuple(record.previous[key]))
    result = _edited(git, folder, current, {key: record.previous[key] for key in ours})
    if record.original is None and not (result or b"").strip():
        return None, kept
    return result, kept


def _edited(git: GitConfig, folder: Path, data: bytes | None, changes: Values) -> bytes | None:
    """The configuration `data` after these changes, made on a copy in `folder` that nobody else sees."""
    with gitconfig.file_errors(folder), tempfile.TemporaryDirectory(prefix=_DRAFT, dir=folder) as place:
        draft = ConfigFile.locate(Path(place, "config"))
        if data is not None:
            draft.path.write_bytes(data)
        for key, values in changes.items():
            git.put(draft.path, key, values)
        return draft.read()


def _other(git: GitConfig, key: str, found: Sequence[str], value: Sequence[str]) -> bool:
    """Whether the value in force says something else than the one that was written."""
    if tuple(found) == tuple(value):
        return False
    return not (key == wanted.SIGNS and found and git.is_true(key, found[-1]))


def _previous_programs(
    git: GitConfig, home: Path, config_file: Path, values: Mapping[str, str], now: Values
) -> dict[str, str]:
    """What to remember, by key: the program in force now, as configured, unless it is ours; else what is remembered."""
    replaced = [key for key in wanted.PREVIOUS if key in values]
    in_force = git.in_force_beside(replaced, config_file)
    found: dict[str, str] = {}
    for key in replaced:
        remembered = wanted.PREVIOUS[key]
        configured = next(reversed(in_force[key]), "")
        program = previous.resolve(configured, git.environ, Path()) if configured else None
        ours = configured in values.values() if program is None else previous.is_ours(program, home)
        if configured and not ours:
            found[remembered] = configured
        elif now[remembered]:
            found[remembered] = now[remembered][0]
    return found


@contextlib.contextmanager
def _held(home: Path, file: ConfigFile) -> Iterator[Path]:
    """Hold this home's setups and git's configuration file; gives the path of the file's record."""
    path = _record_path(home, file)
    holder = f"notme-git-setup-{_digest(os.fsencode(home))[:16]}"
    with _alone(path.parent):
        with gitconfig.file_errors(path.parent):
            for left in path.parent.iterdir():
                if left.name.startswith(_DRAFT):
                    shutil.rmtree(left)
                elif ".json." in left.name:  # a draft of a record
                    left.unlink()
        with file.locked(holder):
            yield path


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One setup of a home at a time. The kernel lets go of the lock when its process ends, however it ends."""
    with gitconfig.file_errors(folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)  # records hold configurations, and those may hold tokens
        descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        for _ in range(LOCK_ATTEMPTS):
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            time.sleep(LOCK_PAUSE_S)
        else:
            raise UnavailableError("another notme-git setup is running", hint="wait for it to end, then try again")
        yield
    finally:
        os.close(descriptor)


def _record_path(home: Path, file: ConfigFile) -> Path:
    return home / "setup" / f"{_digest(os.fsencode(file.path))}.json"


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _values(value: Mapping[str, object]) -> dict[str, tuple[str, ...]]:
    """What a record says of each key; those that its version did not know had no value it would have seen."""
    first = {key: _strings(value[key]) for key in KEYS[:_FIRST_KEYS]}
    return first | {key: _strings(value.get(key, [])) for key in KEYS[_FIRST_KEYS:]}


def _strings(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError("a list of strings is missing")
    return tuple(value)
