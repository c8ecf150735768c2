"""The contradictions between what objects and notes say and what is proven (`contradictions`, `notes`)."""

from __future__ import annotations

from attest import contradictions as c
from attest import notes as n
from attest.errors import Step
from attest.reasons.entry import Entry, Kind

_SEVERITIES = c.SEVERITIES | n.SEVERITIES
_ALICE = "Alice Example <alice@example.org>"
_HUMAN_KEY = f"the key that signed it is a human's, {_ALICE}"
_OWN_GRANT = (
    "Give the agent a grant of its own (`notme-git setup --agent NAME`) and take the human's key out of its reach."
)


def _said(code: str, meaning: str, example: str, remedy: str) -> Entry:
    return Entry(code, Kind.CONTRADICTION, (Step.IDENTITY,), meaning, remedy, example, _SEVERITIES[code])


CONTRADICTIONS = (
    _said(
        c.AGENT_SIGNED_OFF,
        "A `Signed-off-by` in an agent's name. It certifies where a change comes from, and only a human can (the Linux "
        "kernel's rule for coding assistants, and many others').",
        "'Signed-off-by: claude-code <claude-code@0123456789abcdef.invalid>' is an agent's, and only a human can "
        "certify "
        "where a change comes from",
        "Take the line out; the human who submits the change adds a line of their own. Agents write `Assisted-by`.",
    ),
    _said(
        c.SIGNED_OFF_FOR,
        "An agent's key signed a `Signed-off-by` of the human it represents: nothing shows that the human gave it.",
        f"'Signed-off-by: {_ALICE}' is a human's to give, and claude-code signed it",
        "Let the human sign off, under their own key: `git commit --amend -s`. Keep agents from `git commit -s`.",
    ),
    _said(
        c.AGENT_REVIEWED,
        "An agent's key signed a `Reviewed-by`, `Acked-by` or `Approved-by` in an agent's name: no second pair of "
        "eyes.",
        "'Reviewed-by: claude-code <claude-code@0123456789abcdef.invalid>' is vouched for by an agent's certificate "
        "alone, "
        "claude-code's",
        "Let whoever reviewed say so in a place of their own: the review of the forge, or a commit of theirs.",
    ),
    _said(
        c.REVIEWED_FOR,
        "An agent says that the human it works for has reviewed its work: nothing shows that they did.",
        f"'Reviewed-by: {_ALICE}' is a human's to give, and claude-code signed it",
        "As for agent-reviewed. A rule can ask for a signature of the human's instead.",
    ),
    _said(
        c.BY_HUMAN_KEY,
        "A trailer or line says that an agent made it or had a part in making it, and a person's own key signed: the "
        "agent "
        "used that key, or the person signed the agent's work. `Assisted-by` is not counted: it is the form for a "
        "person's work with an agent's help.",
        f"it says 'Co-authored-by: Claude Opus 4.5 <noreply@anthropic.com>', and {_HUMAN_KEY}",
        f"{_OWN_GRANT} Work of a person that an agent helped with says `Assisted-by`.",
    ),
    _said(
        c.AUTHOR_BY_HUMAN_KEY,
        "The author is an agent, and a person's own key signed: the person replayed the agent's commit, whose "
        "signature is "
        "gone with that, or the agent used the person's key.",
        f"the author is Claude <noreply@anthropic.com>, and {_HUMAN_KEY}",
        f"Merge instead of rebasing, and the agent's signature stays. {_OWN_GRANT}",
    ),
    _said(
        c.COMMITTER_BY_HUMAN_KEY,
        "The committer is an agent, and a person's own key signed.",
        f"the committer is Claude <noreply@anthropic.com>, and {_HUMAN_KEY}",
        _OWN_GRANT,
    ),
    _said(
        c.OTHER_AGENT,
        "Every agent that trailers name is another than the one whose certificate signed: mostly a line that was "
        "copied.",
        "it says 'Co-authored-by: Codex <noreply@openai.com>', and the certificate is claude-code's",
        "Correct the agent's instructions. If another agent did the work, it signs under its own grant.",
    ),
    _said(
        c.OTHER_AUTHOR,
        "An agent replayed the commit of another agent (rebase, cherry-pick, am).",
        "the author is codex <codex@0123456789abcdef.invalid>, and claude-code signed it",
        "Nothing, where replaying is meant.",
    ),
    _said(
        c.OTHER_COMMITTER,
        "The committer is another agent than the one whose certificate signed.",
        "the committer is Codex <noreply@openai.com>, and the certificate is claude-code's",
        "Each agent commits under its own name: `notme-git whoami` says which one acts here.",
    ),
    _said(
        c.HUMAN_AUTHOR,
        "The author is the human whom the agent represents, and the agent's key signed. Usual, where agents commit for "
        "people; whether the human wrote it, the signature does not say.",
        f"the author is {_ALICE}, whom claude-code represents",
        "Nothing; or let agents be their own authors, with `notme-git setup --agent NAME`.",
    ),
    _said(
        c.AUTHOR_UNSIGNED,
        "Author or committer is an agent, and nothing is signed: anybody can have written that.",
        "Claude <noreply@anthropic.com> says that claude-code made it, and it is not signed",
        "Let the agent sign: `notme-git setup --agent NAME`, or `setup --auto`.",
    ),
    _said(
        c.UNSIGNED,
        "A trailer names an agent, and nothing is signed.",
        "'Co-authored-by: Claude Opus 4.5 <noreply@anthropic.com>' stands in it, and it is not signed",
        "As for agent-author-unsigned.",
    ),
    _said(
        c.REPRESENTED,
        "The agent names the human it represents as a co-author.",
        f"'Co-authored-by: {_ALICE}' is whom claude-code represents",
        "Nothing; the certificate says already on whose behalf it was.",
    ),
    _said(
        c.UNDISCLOSED,
        "An agent's key signed, and neither author, committer nor any line of the message says that an agent took "
        "part.",
        "claude-code signed it, and neither headers nor trailers say that an agent took part",
        "Have the agent add `Assisted-by: AGENT:MODEL`, where the project asks for disclosure.",
    ),
    _said(
        c.STRANGER,
        "A trailer names an agent and gives an address that is not the agent's: forges credit whoever owns the "
        "address.",
        "'Co-authored-by: Claude <claude@example.net>' names claude-code, whose address this is not: somebody else is "
        "credited",
        "Correct the address in the agent's instructions or settings. Where a person of that name is meant, give the "
        "full name.",
    ),
    _said(
        c.FOR_OTHER,
        "`On-behalf-of` names another than whom the certificate represents.",
        "'On-behalf-of: mallory <mallory@example.net>' is not whom the certificate says that claude-code represents",
        "Take the line out: the certificate says on whose behalf. If it is wrong, the grant is.",
    ),
    _said(
        c.DATE_SKEW,
        "A date in the object is more than an hour away from when it was signed: set by hand, or kept by a rebase.",
        "the committer's date is 2 h after it was signed",
        "Nothing, where dates are kept on purpose. Else look at the clock of the machine.",
    ),
    _said(
        n.OTHER_AGENT,
        "git-ai's note names only other agents than the one whose certificate signed.",
        "its note names 'cursor', and the certificate is claude-code's",
        "As for says-other-agent. Or the note is not of this commit: see note-of-other-commit.",
    ),
    _said(
        n.SAYS_HUMAN,
        "git-ai's note says that a human typed everything it knows of, and an agent signed.",
        "its note says that a human typed 7 lines; claude-code signed",
        "Nothing, where an agent may commit its human's work.",
    ),
    _said(
        n.SAYS_AGENT,
        "git-ai's note says that lines came from an agent, and a person's key signed. Usual, where people commit.",
        "its note says that 10 lines came from 'claude'; a human's key signed",
        "Nothing; or as for says-agent-signed-by-human-key.",
    ),
    _said(
        n.OTHER_HUMAN,
        "git-ai's note names another human than the one whom the certificate represents.",
        "its note says that 'm <m@example.net>' asked for it, whom no certificate names",
        "Ask both. A human with several addresses is named by the one that the grant has.",
    ),
    _said(
        n.OTHER_COMMIT,
        "git-ai's note was counted from a commit that is neither this one nor a parent: moved along by a rebase.",
        "its note was made for commit '000000000000', and perhaps moved by a rebase",
        "Believe its line numbers less.",
    ),
    _said(
        n.MALFORMED,
        "A note of the commit is neither a git-ai log of version 3.0.0 nor an Agent Trace record.",
        "a note of it cannot be read: no line --- parts the lines of the note from its JSON",
        "Nothing, where people keep notes of their own there.",
    ),
    _said(
        n.TRACE_OTHER_AGENT,
        "The Agent Trace record names only other agents than the one whose certificate signed.",
        "its trace record names 'cursor', and the certificate is claude-code's",
        "As for says-other-agent.",
    ),
    _said(
        n.TRACE_SAYS_HUMAN,
        "The Agent Trace record says that a human wrote all of it, and an agent signed.",
        "its trace record says that a human wrote it; claude-code signed",
        "As for note-says-human.",
    ),
    _said(
        n.TRACE_SAYS_AGENT,
        "The Agent Trace record says that an agent wrote it, and a person's key signed.",
        "its trace record says that 'claude-code' wrote it; a human's key signed",
        "As for note-says-agent.",
    ),
    _said(
        n.TRACE_MISMATCH,
        "The Agent Trace record is of a revision that is neither this commit nor a parent.",
        "its trace record is of revision '000000000000', neither it nor a parent",
        "Make the record anew, or take it away: its line numbers are of another commit.",
    ),
)
"""In the order of the two tables of severities."""
