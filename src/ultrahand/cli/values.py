"""Values of options: what is read from a word, or why it cannot be."""

from __future__ import annotations

import argparse
import math
import re


def memory(text: str) -> int:
    """Read ``8GB``, ``500 MiB`` or a number of bytes."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kMGT]?i?B?)\s*", text)
    powers = {"": 0, "k": 1, "M": 2, "G": 3, "T": 4}
    if match is None or match[2].strip("iB") not in powers:
        raise argparse.ArgumentTypeError(f"{text!r} is no size; write it as 8GB or 500MiB")
    base = 1024 if "i" in match[2] else 1000
    size = int(float(match[1]) * base ** powers[match[2].strip("iB")])
    if size <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no memory at all")
    return size


def count(text: str) -> int:
    """Read 0, 1, 2 ..."""
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is no count; expected 0, 1, 2, ...")
    return int(text)


def seconds(text: str) -> float:
    """Read a time above 0."""
    try:
        length_s = float(text)
    except ValueError:
        length_s = math.nan
    if not 0 < length_s < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r}: expected seconds above 0, as 2.5")
    return length_s


def positive(text: str) -> float:
    """Read a number above 0."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a number above 0")
    return number


def threads(text: str) -> int:
    """Read a number of threads."""
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a number of threads from 1 on")
    return int(text)
