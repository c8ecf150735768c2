"""Notes that tools attach to commits beside the signature, held against what the signature proves.

Two formats are read: git-ai's authorship logs and Agent Trace records. Notes are unsigned, and anybody who may push
the ref writes them: as with trailers, they can contradict a certificate and never add to it. Nothing is fetched; in
a clone without the refs there are no notes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from attest import agentmarks, agenttrace, gitai
from attest.agenttrace import Trace
from attest.contradictions import is_agent, is_human, is_other_agent
from attest.errors import Error, MalformedError, UnavailableError
from attest.gitai import AuthorshipLog
from attest.gitobject import Commit, PushCertificate, Tag
from attest.repository import Repository
from attest.types import Contradiction, Identity, Severity

GIT_AI = "refs/notes/ai"
AGENT_TRACE = "refs/notes/agent-trace"
REFS = (GIT_AI, AGENT_TRACE)
"""Where notes are looked for. Agent Trace names no ref: this one is ours; records under the other are read too."""

FAN_OUT = 4
"""Levels of folders in a notes tree that are looked through: git makes two of a million notes."""

OTHER_AGENT = "note-names-other-agent"
SAYS_HUMAN = "note-says-human"
SAYS_AGENT = "note-says-agent"
OTHER_HUMAN = "note-names-other-human"
OTHER_COMMIT = "note-of-other-commit"
MALFORMED = "note-malformed"
TRACE_OTHER_AGENT = "trace-names-other-agent"
TRACE_SAYS_HUMAN = "trace-says-human"
TRACE_SAYS_AGENT = "trace-says-agent"
TRACE_MISMATCH = "trace-revision-mismatch"

SEVERITIES = {
    OTHER_AGENT: Severity.WARNING,
    SAYS_HUMAN: Severity.INFO,
    SAYS_AGENT: Severity.INFO,
    OTHER_HUMAN: Severity.WARNING,
    OTHER_COMMIT: Severity.INFO,
    MALFORMED: Severity.INFO,
    TRACE_OTHER_AGENT: Severity.WARNING,
    TRACE_SAYS_HUMAN: Severity.INFO,
    TRACE_SAYS_AGENT: Severity.INFO,
    TRACE_MISMATCH: Severity.WARNING,
}


def read_all(repository: Repository, oids: Sequence[str]) -> dict[str, list[bytes]]:
    """The notes of each object that has any, of every ref of `REFS`."""
    found = dict[str, list[bytes]]()
    for ref in REFS:
        for oid, note in read_many(repository, oids, ref).items():
            found.setdefault(oid, []).append(note)
    return found


def read_many(repository: Repository, oids: Sequence[str], ref: str = GIT_AI) -> dict[str, bytes]:
    """The note of each object that has one under `ref`, with two processes of git for all.

    A note that is too large to be read is left out. Raises `UnavailableError` where git cannot look.
    """
    done = repository.git("rev-parse", "--verify", "--quiet", "--end-of-options", ref + "^{tree}")
    tree = done.stdout.decode("ascii", "replace").strip()
    if done.returncode or not oids:
        return {}
    paths = [(oid, path) for oid in oids for path in _paths(repository.check_id(oid))]
    questions = "".join(f"{tree}:{path}\n" for _, path in paths).encode("ascii")
    done = repository.git("cat-file", "--batch-check=%(objectname) %(objecttype)", stdin=questions)
    answers = done.stdout.decode("ascii", "replace").splitlines()
    if done.returncode or len(answers) != len(paths):
        raise UnavailableError(f"git could not look into {ref}", hint="Run git fsck.")
    found = dict[str, bytes]()
    for (oid, _), answer in zip(paths, answers, strict=True):
        blob, _, kind = answer.partition(" ")
        if kind == "blob" and oid not in found and (note := _content(repository, blob)) is not None:
            found[oid] = note
    return found


def find_in_note(
    note: bytes, object_id: str, parsed: Commit | Tag | PushCertificate | None, identity: Identity | None
) -> tuple[Contradiction, ...]:
    """What a note of the object says that its signature contradicts, one for each code. Never raises.

    `identity` is what step 4 proved; without it only what concerns the object itself is compared.
    """
    around = (object_id, *parsed.parents) if isinstance(parsed, Commit) else (object_id,)
    found = dict[str, str]()
    try:
        if note.lstrip().startswith(b"{"):
            found.update(_traces(agenttrace.read_records(note), around, identity))
        else:
            found.update(_log(gitai.parse(note), around, identity))
    except MalformedError as error:
        found[MALFORMED] = f"a note of it cannot be read: {error.message}"
    return tuple(Contradiction(code, SEVERITIES[code], found[code]) for code in SEVERITIES if code in found)


def _log(log: AuthorshipLog, around: Sequence[str], identity: Identity | None) -> Iterator[tuple[str, str]]:
    """git-ai's. What it leaves out is "untracked", which is nobody's."""
    if log.base_commit and log.base_commit not in around:
        yield OTHER_COMMIT, f"its note was made for commit {log.base_commit[:12]!r}, and perhaps moved by a rebase"
    tools = [session.tool for session in log.sessions]
    if is_human(identity) and tools:
        yield SAYS_AGENT, f"its note says that {_some(log.agent_lines)} came from {_shown(tools)}; a human's key signed"
    if identity is None or not is_agent(identity):
        return
    who = identity.actor.name
    if tools and all(is_other_agent(agentmarks.by_word(tool), identity) for tool in tools):
        yield OTHER_AGENT, f"its note names {_shown(tools)}, and the certificate is {who}'s"
    if not tools and log.human_lines and not log.agent_lines:
        yield SAYS_HUMAN, f"its note says that a human typed {_some(log.human_lines)}; {who} signed"
    for session in log.sessions:
        if _is_other_human(session.human, identity):
            yield OTHER_HUMAN, f"its note says that {session.human[:80]!r} asked for it, whom no certificate names"
            return


def _traces(traces: Sequence[Trace], around: Sequence[str], identity: Identity | None) -> Iterator[tuple[str, str]]:
    """All records of one note together. One is made while an agent edits, so it may name the commit before."""
    revisions = [trace.revision for trace in traces if trace.system == "git"]
    if revisions and not set(revisions) & set(around):
        yield TRACE_MISMATCH, f"its trace record is of revision {revisions[0][:12]!r}, neither it nor a parent"
    kinds = frozenset[str]().union(*(trace.contributors for trace in traces))
    by_agents = [trace.tool for trace in traces if not trace.contributors.isdisjoint(("ai", "mixed"))]
    tools = [tool for tool in by_agents if tool]
    if is_human(identity) and by_agents:
        yield (
            TRACE_SAYS_AGENT,
            f"its trace record says that {_shown(tools) or 'an agent'} wrote it; a human's key signed",
        )
    if identity is None or not is_agent(identity):
        return
    who = identity.actor.name
    if tools and all(is_other_agent(agentmarks.by_word(tool), identity) for tool in tools):
        yield TRACE_OTHER_AGENT, f"its trace record names {_shown(tools)}, and the certificate is {who}'s"
    if kinds == {"human"}:
        yield TRACE_SAYS_HUMAN, f"its trace record says that a human wrote it; {who} signed"


def _is_other_human(said: str, identity: Identity) -> bool:
    """Whether the address in `NAME <ADDRESS>` or `ADDRESS` is neither the represented principal's nor the agent's."""
    address = (said.rpartition("<")[2].partition(">")[0] if "<" in said else said).strip().lower()
    known = {who.email.lower() for who in (identity.actor, identity.represented) if who is not None}
    return "@" in address and identity.represented is not None and address not in known


def _paths(oid: str) -> Iterator[str]:
    """Where git may keep the note of an object: `git notes` deepens the folders as they fill."""
    for depth in range(FAN_OUT):
        folders = [oid[2 * level : 2 * level + 2] for level in range(depth)]
        yield "/".join((*folders, oid[2 * depth :]))


def _content(repository: Repository, oid: str) -> bytes | None:
    try:
        return repository.read(oid)[1]
    except Error:
        return None


def _shown(tools: Sequence[str]) -> str:
    return ", ".join(dict.fromkeys(repr(tool[:40]) for tool in tools[:3]))


def _some(lines: int) -> str:
    return f"{lines:,} line{'' if lines == 1 else 's'}"
