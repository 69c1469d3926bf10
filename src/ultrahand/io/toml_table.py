"""Read a TOML file of ours: every key is known, every value is checked as it is taken out."""

from __future__ import annotations

import hashlib
import re
import stat
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Final

from ultrahand.errors import InputError, UsageError

MAX_BYTES: Final = 2**20
"""What people write has a few kilobytes."""
MAX_LABEL: Final = 64
"""Labels stand in names of files, which have at most 255 characters."""

Table = Mapping[str, object]


def read_toml(path: Path) -> tuple[Table, str]:
    """Read a TOML file; return it with the sha256 of the bytes that were read.

    Raises
    ------
    UsageError
        No such file.
    InputError
        No regular file, one that is too large or empty, or no TOML.
    """
    data = _bytes(path)
    try:
        return tomllib.loads(_text(data)), hashlib.sha256(data).hexdigest()
    except tomllib.TOMLDecodeError as error:
        raise refuse("file", f"no TOML: {error}", "TOML", "correct that line") from None
    except RecursionError:
        raise refuse("file", "brackets without end", "TOML", "correct it") from None


def _bytes(path: Path) -> bytes:
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise refuse("file", "no regular file", "a file in TOML", "give the exam.toml itself")
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise UsageError(f"{path.name}: no such file; check the name and the folder") from None
    except OSError as error:
        found = error.strerror or "an unreadable file"
        remedy = "check its permissions and the disk"
        raise refuse("file", found, "a file that can be read", remedy) from None
    if not data.strip():
        raise refuse("file", "nothing in it", "an [exam] and its [[series]]", "write them")
    if len(data) > MAX_BYTES:
        found = f"more than {MAX_BYTES} bytes"
        raise refuse("file", found, "a short list of series", "give the exam.toml itself")
    return data


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        found = f"bytes in line {line} that are no UTF-8"
        raise refuse("file", found, "text in UTF-8", "save it as UTF-8") from None


@dataclass(slots=True)
class Fields:
    """Takes checked values out of one table; every method raises InputError for what is wrong."""

    where: str
    """What the table is called in a refusal."""
    table: Table
    folder: Path
    """What names of files are relative to."""

    def only(self, *known: str) -> None:
        """Refuse other keys."""
        check_keys(self.where, self.table, known)

    def text(self, key: str) -> str:
        value = self.table.get(key)
        if not isinstance(value, str) or not value.strip():
            if value is None:
                raise self.refuse(key, "none", "text in quotes", "add it")
            found = "empty text" if isinstance(value, str) else kind_of(value)
            raise self.refuse(key, found, "text in quotes", "correct it")
        return value

    def optional_text(self, key: str) -> str | None:
        return self.text(key) if key in self.table else None

    def label(self, key: str) -> str:
        value = self.text(key)
        if not re.fullmatch(f"[A-Za-z0-9]{{1,{MAX_LABEL}}}", value):
            # Not shown: it may be a patient's name.
            remedy = "give a pseudonym, no name or date"
            expected = f"at most {MAX_LABEL} letters and digits"
            raise self.refuse(key, "another text", expected, remedy)
        return value

    def one_of(self, key: str, known: Collection[str]) -> str:
        value = self.text(key)
        if value not in known:
            raise self.refuse(key, repr(value), ", ".join(known), nearest(value, known))
        return value

    def file(self, key: str, *, folder_too: bool = False) -> Path:
        path = self.folder / self.text(key)
        check_file(f"{self.where}, {key}", path, folder_too=folder_too)
        return path

    def optional_file(self, key: str) -> Path | None:
        return self.file(key) if key in self.table else None

    def refuse(self, key: str, found: str, expected: str, remedy: str) -> InputError:
        return refuse(f"{self.where}, {key}", found, expected, remedy)


def check_file(where: str, path: Path, *, folder_too: bool = False) -> None:
    """Refuse a file that is not there, or none.

    Parameters
    ----------
    where
        The key that names it.
    path
        Its place.
    folder_too
        Whether it may be a folder.

    Raises
    ------
    InputError
        See above.
    """
    remedy = "check the name; it is relative to the folder of exam.toml"
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:
        missing = isinstance(error, (FileNotFoundError, NotADirectoryError))
        why = "no such file" if missing else getattr(error, "strerror", None) or "no file name"
        raise refuse(where, f"{why}: {path.name}", "an existing file", remedy) from None
    if not (stat.S_ISREG(mode) or (folder_too and stat.S_ISDIR(mode))):
        raise refuse(where, f"no regular file: {path.name}", "a file", remedy)


def check_keys(where: str, table: Table, known: Collection[str]) -> None:
    """Refuse keys that are not known, with the nearest that is."""
    for key in table:
        if key not in known:
            raise refuse(f"{where}, {key}", "an unknown key", ", ".join(known), nearest(key, known))


def nearest(word: str, known: Collection[str]) -> str:
    """Return a remedy for a word that is not known: the one that was probably meant."""
    near = get_close_matches(word, known, n=1, cutoff=0.5)
    return f"did you mean {near[0]!r}?" if near else "choose one of these"


def as_table(value: object, where: str) -> Table:
    """Return a value that is a table; refuse another."""
    if not isinstance(value, dict):
        found = "none" if value is None else kind_of(value)
        raise refuse(where, found, "a table", "write it as in the guide")
    return value


def kind_of(value: object) -> str:
    """Name the type of a value in TOML's words."""
    words = {
        str: "text",
        bool: "true or false",
        int: "a number",
        float: "a number",
        list: "a list",
        dict: "a table",
    }
    return words.get(type(value), "a date or time")


def refuse(field: str, found: str, expected: str, remedy: str) -> InputError:
    """Return the refusal of a key."""
    return InputError(field, found=found, expected=expected, remedy=remedy)
