"""Manual pages from the command tree: what `--help` says, as roff (man(7)).

One page for a program and one for each of its top-level commands, which holds the commands inside it. Everything
comes from click's own help records, so that a page cannot say another thing than `--help`.
"""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Iterable, Iterator
from datetime import date

import click

# A hyphen in roff is a typographic one: what is to be typed or searched for is written \-, and the rest likewise
# (groff_man_style(7), "Portability").
_ESCAPES = str.maketrans(
    {"\\": r"\e", "-": r"\-", "'": r"\(aq", "`": r"\(ga", "^": r"\(ha", "~": r"\(ti", '"': r"\(dq"}
)

EXIT_STATUS = (
    ("0", "Accepted, or done."),
    ("1", "Rejected, or refused."),
    ("2", "Could not be checked, or not be done: something needed is missing or cannot be read."),
    ("64", "The command line or a setting makes no sense."),
    ("130", "Interrupted."),
)
ENVIRONMENT = (
    (
        "NOTME_HOME",
        "The folder with everything that is kept: an absolute path. Without it, notme-git in XDG_DATA_HOME, "
        "or in ~/.local/share. Two homes never mix.",
    ),
    ("NO_COLOR", "When it is set and not empty, nothing is coloured."),
)
SOURCE_COLUMNS = 78
ALIASES = {"notme-git": "git-notme"}
"""`git help notme` looks for `git-notme`."""


def pages(group: click.Group, version: str, day: date) -> dict[str, str]:
    """Every page of one program: its name, such as `notme-git-grant`, and its text."""
    program = group.name or ""
    root = click.Context(group, info_name=program, **group.context_settings)
    made = {program: page(root, program, version, day)}
    if program in ALIASES:
        made[ALIASES[program]] = page(root, ALIASES[program], version, day)
    for child in _children(root):
        name = f"{program}-{child.info_name}"
        made[name] = page(child, name, version, day)
    return made


def page(context: click.Context, name: str, version: str, day: date) -> str:
    """One page. Under the program itself commands are only named; under a command they are described."""
    lines = [
        f'.TH {roff(name.upper())} 1 "{day.isoformat()}" "notme\\-git {roff(version)}" "User Commands"',
        ".SH NAME",
        f"{roff(name)} \\- {roff(_summary(context.command))}",
        ".SH SYNOPSIS",
        *_synopses(context),
        ".SH DESCRIPTION",
        *_prose(context.command.help or ""),
    ]
    if options := list(_options(context)):
        lines += [".SH OPTIONS", *options]
    if context.parent is None:
        lines += [".SH COMMANDS", *_overview(context)]
    else:
        for child in _tree(context):
            lines += [f".SS {_bold(_words(child))}", *_prose(child.command.help or ""), *_options(child)]
    lines += [".SH EXIT STATUS", *_table(EXIT_STATUS), ".SH ENVIRONMENT", *_table(ENVIRONMENT)]
    return "\n".join([*lines, ".SH SEE ALSO", *_see_also(context, name)]) + "\n"


def roff(text: str) -> str:
    """One line of text as roff shows it unchanged."""
    return _guarded(_escaped(text))


def _escaped(text: str) -> str:
    # In ASCII whatever roff has no name for: groff and mandoc both read \[uXXXX].
    return "".join(c if c.isascii() else f"\\[u{ord(c):04X}]" for c in text.translate(_ESCAPES))


def _guarded(line: str) -> str:
    """A dot at the beginning of a line would be a request (a quote too, which is escaped anyway)."""
    return "\\&" + line if line.startswith(".") else line


def _synopses(context: click.Context) -> Iterator[str]:
    inside = [child for child in _tree(context) if not isinstance(child.command, click.Group)]
    shown = inside if inside and context.parent is not None else [context]
    for number, one in enumerate(shown):
        if number:
            yield ".br"
        pieces = " ".join(one.command.collect_usage_pieces(one))
        yield f"{_bold(_words(one))} {roff(pieces)}"


def _options(context: click.Context) -> Iterator[str]:
    records = [p.get_help_record(context) for p in context.command.get_params(context)]
    # An argument without a sentence of its own is in SYNOPSIS; click before 8.4 has no record of it either.
    yield from _table(r for r in records if r is not None and (r[1] or r[0].startswith("-")))


def _overview(context: click.Context) -> Iterator[str]:
    for child in _children(context):
        page_name = f"{context.info_name}-{child.info_name}"
        yield from (".TP", f"{_bold(page_name)}(1)", *_filled(_summary(child.command)))


def _see_also(context: click.Context, name: str) -> Iterator[str]:
    program = context.find_root().info_name or ""
    near = [program, *(f"{program}-{c.info_name}" for c in _children(context.find_root()))]
    others = [n for n in ("notme-git", "notme-attest", "git", "git-verify-commit") if n not in near]
    named = [f"{_bold(other)}(1)" for other in (*near, *others) if other != name]
    yield ",\n".join(named)


def _table(rows: Iterable[tuple[str, str]]) -> Iterator[str]:
    for term, text in rows:
        yield from (".TP", _term(term), *(_filled(text) or ["\\&"]))


def _term(names: str) -> str:
    """`-n, --max-count INTEGER RANGE`: what is typed in bold, what it stands for in italics."""
    if not names.startswith("-"):
        return _bold(names)
    words = re.split(r"((?<![\w-])--?[A-Za-z0-9][A-Za-z0-9-]*)", names)
    return "".join(_bold(w) if w.startswith("-") else _italic(w) for w in words if w)


def _bold(text: str) -> str:
    return f"\\fB{roff(text)}\\fR"


def _italic(text: str) -> str:
    plain = text.strip()
    if not plain or plain in (",", "/"):
        return roff(text)
    return text.replace(plain, f"\\fI{roff(plain)}\\fR")


def _prose(text: str) -> Iterator[str]:
    """Paragraphs of a help text; one that begins with click's `\\b` is set line by line."""
    for number, paragraph in enumerate(inspect.cleandoc(text).split("\f")[0].strip().split("\n\n")):
        if number:
            yield ".PP"
        lines = paragraph.splitlines()
        if lines and lines[0].strip() == "\b":
            yield from (".nf", *(roff(line) for line in lines[1:]), ".fi")
        else:
            yield from _filled(paragraph)


def _filled(text: str) -> list[str]:
    """Running text in source lines of a length that editors and mandoc's lint like; roff fills them anew."""
    lines = textwrap.wrap(_escaped(text), SOURCE_COLUMNS, break_long_words=False, break_on_hyphens=False)
    return [_guarded(line) for line in lines]


def _summary(command: click.Command) -> str:
    """The first sentence, without its full stop, as NAME has it."""
    first = " ".join(inspect.cleandoc(command.help or "").split("\n\n")[0].split())
    return re.split(r"(?<=[a-z)])[.:] ", first + " ")[0].strip().rstrip(".")


def _words(context: click.Context) -> str:
    return context.command_path


def _children(context: click.Context) -> Iterator[click.Context]:
    if isinstance(context.command, click.Group):
        for name, command in context.command.commands.items():
            if not command.hidden:
                yield click.Context(command, info_name=name, parent=context, **command.context_settings)


def _tree(context: click.Context) -> Iterator[click.Context]:
    """Every command inside, each before those inside it."""
    for child in _children(context):
        yield child
        yield from _tree(child)
