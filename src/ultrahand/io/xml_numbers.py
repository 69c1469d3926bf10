"""Numbers of an XML header, written in the schema's way or refused."""

from __future__ import annotations

import math
import re
from typing import Final

from ultrahand.errors import InputError
from ultrahand.io.xml_tree import Node
from ultrahand.records.findings import Finding, warning

MATRIX_TOLERANCE: Final = 0.01
"""Converters write 35.9996 for 36; anything further from a whole number is refused."""
_NUMBER: Final = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,6})?")


def required(node: Node, name: str) -> Node:
    """Return an element that must be there."""
    child = node.one(name)
    if child is None:
        raise InputError(
            f"xml {node.path}/{name}",
            found="no such element",
            expected="a number",
            remedy="convert the measurement again",
        )
    return child


def number(node: Node) -> float:
    """Read a finite number written in the schema's way (no comma, no NaN, no infinity)."""
    value = number_or_none(node)
    if value is None:
        raise bad_number(node.path, node.text, "a finite decimal number")
    return value


def number_or_none(node: Node) -> float | None:
    """Read a finite number; None for anything else."""
    value = float(node.text) if _NUMBER.fullmatch(node.text) else math.nan
    return value if math.isfinite(value) else None


def whole(node: Node, name: str, findings: list[Finding]) -> int:
    """Read a whole number; one that is nearly whole is rounded, and said."""
    child = required(node, name)
    value = number(child)
    rounded = round(value)
    if abs(value - rounded) > MATRIX_TOLERANCE:
        raise bad_number(child.path, child.text, "a whole number")
    if value != rounded or not child.text.lstrip("+-").isdigit():
        findings.append(
            warning(
                f"xml {child.path}",
                found=child.text[:20],
                expected="a whole number",
                remedy=f"{rounded} is used",
            )
        )
    return rounded


def bad_number(path: str, found: str, expected: str) -> InputError:
    """Return the refusal of a number."""
    return InputError(
        f"xml {path}", found=repr(found[:40]), expected=expected, remedy="correct the header"
    )
