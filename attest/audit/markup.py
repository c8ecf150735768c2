"""HTML and SVG from Python values. Text is escaped where it enters; only what `el` made is taken as it is."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from typing import TypeAlias

from attest.report.text import printable

VOID = frozenset({"meta", "link", "br", "hr", "col"})

_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9-]*\Z")


class Html(str):
    """Text that is markup already. Made here and nowhere else."""

    __slots__ = ()


Child: TypeAlias = "str | int | Iterable[Child] | None"


def el(tag: str, *children: Child, **attributes: str | int | float | bool | None) -> Html:
    """An element. Of attributes, `_` is `-` and a trailing one is dropped (`class_`); None and False leave it out."""
    parts = [f"<{_checked(tag)}"]
    for name, value in attributes.items():
        if value is None or value is False:
            continue
        named = _checked(name.rstrip("_").replace("_", "-"))
        parts.append(f" {named}" if value is True else f' {named}="{escape(str(value))}"')
    if tag in VOID:
        return Html("".join((*parts, ">")))
    return Html("".join((*parts, ">", join(children), f"</{tag}>")))


def join(children: Child) -> Html:
    """Children one after the other."""
    if children is None:
        return Html("")
    if isinstance(children, Html):
        return children
    if isinstance(children, str | int):
        return Html(escape(str(children)))
    return Html("".join(map(join, children)))


def verbatim_style(css: str) -> Html:
    """A style element: CSS has no escapes for HTML in it, so that it may not hold what ends it."""
    if "<" in css:
        raise ValueError("a style sheet with < in it")
    return Html(f"<style>{css}</style>")


def escape(text: str) -> str:
    """Without meaning to HTML, in text and in attributes, and without control or direction-changing characters."""
    return html.escape(printable(text), quote=True)


def _checked(name: str) -> str:
    if _NAME.match(name) is None:
        raise ValueError(f"{name!r} is no name of an element or attribute")
    return name
