"""JSON beside an image: BIDS fields and how the image was made."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path


def write_sidecar(path: Path, fields: Mapping[str, object]) -> None:
    """Write fields as JSON; keys in the given order, fields that are None left out.

    Raises
    ------
    ValueError
        A number that JSON has no word for (NaN, infinity).
    """
    present = {name: value for name, value in fields.items() if value is not None}
    text = json.dumps(present, indent=2, allow_nan=False, ensure_ascii=False)
    # File names may hold bytes that are no text; as \udcXX they are still JSON.
    path.write_bytes(f"{text}\n".encode("utf-8", "backslashreplace"))


def sha256_of(path: Path) -> str:
    """Return the hash of a file's bytes, read in blocks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
