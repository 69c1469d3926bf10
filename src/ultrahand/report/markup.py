"""Elements of HTML in which text cannot become markup."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import final


@final
class Html(str):
    """Text that is markup already; any other string is escaped where it enters an element."""

    __slots__ = ()


EMPTY = Html("")
_VOID = frozenset({"meta", "img", "input", "col"})


def element(name: str, /, *children: str, **attributes: str | int | bool) -> Html:
    """Return an element with its children and attributes.

    Parameters
    ----------
    name
        Name of the element.
    children
        What it holds, in order; a `str` that is not `Html` is escaped.
    attributes
        ``class_`` gives ``class``, ``data_volume`` gives ``data-volume``; True gives an attribute
        without a value, False none.
    """
    shown = "".join(_attribute(key, value) for key, value in attributes.items())
    if name in _VOID:
        return Html(f"<{name}{shown}>")
    return Html(f"<{name}{shown}>{join(children)}</{name}>")


def join(children: Sequence[str]) -> Html:
    """Return children one after the other, text among them escaped."""
    return Html("".join(c if isinstance(c, Html) else escape(c) for c in children))


def escape(text: str) -> Html:
    """Return text that reads as itself in an element or a quoted attribute."""
    return Html(html.escape(printable(text), quote=True))


def printable(text: str) -> str:
    """Return text with what cannot be printed as U+FFFD.

    Half of a surrogate pair from a damaged header cannot be encoded; a change of writing direction
    would reorder what follows it.
    """
    return "".join(c if c.isprintable() or c == "\n" else _mark(c) for c in text)


def _mark(character: str) -> str:
    return " " if character in "\t\r\u00a0\u202f" else "\ufffd"


def _attribute(key: str, value: str | int | bool) -> str:
    name = key.rstrip("_").replace("_", "-")
    if value is False:
        return ""
    return f" {name}" if value is True else f' {name}="{escape(str(value))}"'
