"""Read ``exam.toml``: which measurements an examination has and what belongs to them."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from ultrahand.io.exam_tables import check_exam_file
from ultrahand.io.file_bytes import naming
from ultrahand.io.outputs import is_same_file
from ultrahand.io.toml_table import (
    MAX_LABEL,
    Fields,
    as_table,
    check_keys,
    kind_of,
    nearest,
    read_toml,
    refuse,
)

KINDS: Final = tuple("morphology multiecho sodium sodium_b1 tq dynamic t1 b1 noise ct xray".split())
HANDS: Final = ("left", "right", "both")
INPUT_FUNCTIONS: Final = ("parker", "georgiou", "weinmann")
"""Arterial input functions that have a name; any other is a file."""
_FOLDERS: Final = ("ct", "xray")
"""Kinds that may be a folder, of DICOM files."""
_AIF_ENDINGS: Final = (".tsv", ".nii", ".nii.gz")
"""A curve, or the mask of the artery."""
_FILES: Final = ("landmarks", "vials", "labels", "spheres")

Option = str | int | float | bool


@dataclass(frozen=True, kw_only=True, slots=True)
class ExamSeries:
    """One ``[[series]]``."""

    name: str
    file: Path
    written: str
    """The file as it stands in ``exam.toml``."""
    kind: str
    aif: str | Path | None
    """One of `INPUT_FUNCTIONS`, or a file."""
    reference: str | Path | None
    """Name of another series, or a file."""
    options: Mapping[str, Option]

    @property
    def label(self) -> str:
        """The name as a BIDS label."""
        return label_of(self.name)


@dataclass(frozen=True, kw_only=True, slots=True)
class Examination:
    """A checked ``exam.toml``: every file that it names is there, its tables can be read."""

    file: Path
    subject: str
    session: str
    hand: str
    landmarks: Path | None
    vials: Path | None
    labels: Path | None
    spheres: Path | None
    protocol: str | None
    series: tuple[ExamSeries, ...]
    sha256: str = ""
    """Of the file as it was read: it may be another one by now."""

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file that belongs to the examination, this one too."""
        own = (self.file, self.landmarks, self.vials, self.labels, self.spheres)
        more = [x for s in self.series for x in (s.file, s.aif, s.reference)]
        return tuple(path for path in (*own, *more) if isinstance(path, Path))


def read_exam(path: Path, *, option_names: Collection[str]) -> Examination:
    """Read and check an examination file.

    Parameters
    ----------
    path
        The file; what it names is relative to its folder.
    option_names
        Options that a series may have.

    Raises
    ------
    UsageError
        No such file.
    InputError
        Not TOML, a key that is not known, a value of the wrong type, a file that is not there, a
        table or label image that cannot be read, two series of one name, a series that names
        itself.
    """
    with naming(path):
        document, sha256 = read_toml(path)
        check_keys("exam.toml", document, ("exam", "series"))
        exam = Fields("[exam]", as_table(document.get("exam"), "[exam]"), path.parent)
        exam.only("subject", "session", "hand", "protocol", *_FILES)
        tables = document.get("series")
        if isinstance(tables, dict):
            raise refuse("[series]", "one table", "a list of them", "write [[series]]")
        if not isinstance(tables, list) or not tables:
            raise refuse("[[series]]", "none", "at least one", "add one for each measurement")
        series = _all_series(tables, path.parent, option_names)
        files = {name: exam.optional_file(name) for name in _FILES}
        for name, file in files.items():
            if file is not None:
                check_exam_file(name, file)
        return Examination(
            file=path,
            sha256=sha256,
            subject=exam.label("subject"),
            session=exam.label("session"),
            hand=exam.one_of("hand", HANDS),
            protocol=exam.optional_text("protocol"),
            series=series,
            **files,
        )


def _all_series(
    tables: list[object], folder: Path, option_names: Collection[str]
) -> tuple[ExamSeries, ...]:
    readers = []
    names: dict[str, str] = {}
    for number, table in enumerate(tables, start=1):
        reader = Fields(f"[[series]] {number}", as_table(table, f"[[series]] {number}"), folder)
        name = reader.text("name")
        fits = re.fullmatch(f"[A-Za-z0-9_-]{{1,{MAX_LABEL}}}", name)
        if not fits or not label_of(name):
            expected = f"at most {MAX_LABEL} letters and digits, with - and _"
            raise reader.refuse("name", "another text", expected, "rename it")
        # File systems may not tell upper from lower case, and labels have neither - nor _.
        bare = label_of(name).lower()
        if bare in names:
            found = f"{name!r} beside {names[bare]!r}"
            expected = "names that differ in letters or digits"
            raise reader.refuse("name", found, expected, "rename one")
        names[bare] = name
        reader.where = f"series {name!r}"
        readers.append(reader)
    return tuple(_one_series(reader, set(names.values()), option_names) for reader in readers)


def _one_series(
    reader: Fields, names: Collection[str], option_names: Collection[str]
) -> ExamSeries:
    reader.only("name", "file", "kind", "aif", "reference", "options")
    kind = reader.one_of("kind", KINDS)
    name = reader.text("name")
    file = reader.file("file", folder_too=kind in _FOLDERS)
    return ExamSeries(
        name=name,
        file=file,
        written=reader.text("file"),
        kind=kind,
        aif=_aif(reader, file),
        reference=_reference(reader, name, file, names),
        options=_options(reader, option_names),
    )


def _aif(reader: Fields, own: Path) -> str | Path | None:
    """Return an input function's name or file."""
    text = reader.optional_text("aif")
    if text is None or text in INPUT_FUNCTIONS:
        return text
    expected = f"{', '.join(INPUT_FUNCTIONS)}, or a file {' or '.join(_AIF_ENDINGS)}"
    if not text.lower().endswith(_AIF_ENDINGS):
        raise reader.refuse("aif", repr(text), expected, nearest(text, INPUT_FUNCTIONS))
    path = reader.file("aif")
    if is_same_file(path, own):
        raise reader.refuse("aif", "the file of the series itself", expected, "name another")
    return path


def _reference(reader: Fields, name: str, own: Path, names: Collection[str]) -> str | Path | None:
    """Return another series' name, or a file."""
    text = reader.optional_text("reference")
    if text is None:
        return None
    path = None if text in names else reader.file("reference")
    if text == name or (path is not None and is_same_file(path, own)):
        expected = "the name of another series, or a file"
        raise reader.refuse("reference", "the series itself", expected, "name another")
    return text if path is None else path


def label_of(name: str) -> str:
    """Return a series' name as a BIDS label, which has letters and digits only."""
    return re.sub("[_-]", "", name)


def _options(reader: Fields, option_names: Collection[str]) -> Mapping[str, Option]:
    where = f"{reader.where}, options"
    options = as_table(reader.table.get("options", {}), where)
    check_keys(where, options, option_names)
    checked: dict[str, Option] = {}
    for name, value in options.items():
        if not isinstance(value, (str, int, float)):
            raise refuse(f"{where}.{name}", kind_of(value), "text or a number", "correct it")
        checked[name] = value
    return MappingProxyType(checked)
