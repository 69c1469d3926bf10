"""Check the files that belong to a whole examination: points, spheres, vials and labels.

They are read before hours of work, not after: a table that cannot be understood is refused.
"""

from __future__ import annotations

import gzip
import json
import logging
import math
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from ultrahand.io.file_bytes import naming
from ultrahand.io.toml_table import refuse

MAX_BYTES: Final = 2**20
"""Tables of points have a few kilobytes."""
MARKUPS: Final = ".json"
"""3D Slicer's markups end so: ``landmarks.mrk.json``."""
_PLACE: Final = ("x_mm", "y_mm", "z_mm")
_UNITS: Final = ("mmol_per_l", "mol_per_l", "g_nacl_per_l", "mol_per_m3")
_CONCENTRATIONS: Final = tuple(f"concentration_{unit}" for unit in _UNITS)
_MAX_MM: Final = 1e6
_BLOCK_BYTES: Final = 2**22
_REMEDY: Final = "correct that line"


class _Range(NamedTuple):
    """What a number may be."""

    least: float
    most: float
    """Infinity for no bound."""
    expected: str


_PLACE_MM: Final = _Range(-_MAX_MM, _MAX_MM, f"a number of at most {_MAX_MM:g} mm")
_POSITIVE: Final = _Range(math.ulp(0.0), math.inf, "a number above 0")
_NOT_NEGATIVE: Final = _Range(0.0, math.inf, "a number from 0 on")
_FRACTION: Final = _Range(0.0, 1.0, "a number from 0 to 1")
_OPTIONAL: Final = {
    **dict.fromkeys(("radius_mm", "t1_ms", "t2star_short_ms", "t2star_long_ms"), _POSITIVE),
    "short_fraction": _FRACTION,
    **dict.fromkeys(_CONCENTRATIONS, _NOT_NEGATIVE),
    **{f"concentration_stderr_{unit}": _NOT_NEGATIVE for unit in _UNITS},
}
"""Column that may be missing, or ``n/a``, to what its numbers may be."""


def check_exam_file(role: str, path: Path) -> None:
    """Refuse a file of ``[exam]`` that is not what its key says.

    Parameters
    ----------
    role
        The key: ``landmarks``, ``vials``, ``spheres`` or ``labels``.
    path
        The file; it exists.

    Raises
    ------
    InputError
        Cannot be read, a column is missing, a cell is no number: with the line.
    """
    with naming(path):
        if role == "labels":
            _check_labels(path)
        elif role == "landmarks" and path.name.lower().endswith(MARKUPS):
            _check_markups(_text(path))
        else:
            _check_table(role, _text(path))


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        found = error.strerror or "an unreadable file"
        raise refuse("file", found, "a file that can be read", "check its permissions") from None
    if len(data) > MAX_BYTES:
        raise refuse("file", f"more than {MAX_BYTES} bytes", "a short table", "give the table")
    try:
        text = data.decode("utf-8-sig")  # spreadsheets begin UTF-8 with a mark
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        found = f"bytes in line {line} that are no UTF-8"
        raise refuse("file", found, "a table in UTF-8", "save it as UTF-8 text") from None
    if not text.strip():
        raise refuse("file", "nothing in it", "a table", "write it, or leave the key out")
    return text


# --- tables ---------------------------------------------------------------------------------------


def _check_table(role: str, text: str) -> None:
    rows = _rows(text)
    number, columns = next(rows)
    _check_columns(role, columns, number)
    required = {"name", *_PLACE} | ({"radius_mm"} if role == "spheres" else set())
    if role == "vials":
        required |= set(_CONCENTRATIONS).intersection(columns)
    seen: dict[tuple[str, str], int] = {}
    for number, cells in rows:
        where = f"line {number}"
        if len(cells) != len(columns):
            found, expected = f"{len(cells)} cells", f"{len(columns)}, as in the first line"
            raise refuse(where, found, expected, "separate cells by tabs; write n/a for none")
        row = dict(zip(columns, cells, strict=True))
        _check_row(where, row, required)
        key = (row.get("side", ""), row["name"])
        if key in seen:
            found = f"{row['name']!r} again, as in line {seen[key]}"
            raise refuse(f"{where}, name", found, "each name once", "rename one")
        seen[key] = number
    if not seen:
        raise refuse("file", "a first line alone", "one line for each point", "add them")


def _rows(text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the number and the cells of each line that is not empty."""
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            yield number, [cell.strip() for cell in line.split("\t")]


def _check_columns(role: str, columns: list[str], number: int) -> None:
    where = f"line {number}"
    radius = ("radius_mm",) if role == "spheres" else ()
    needed = ("name", *_PLACE, *radius)
    missing = [name for name in needed if name not in columns]
    if missing:
        expected = f"the columns {' '.join(needed)}, with tabs between"
        found = f"no column {missing[0]} in {' '.join(columns)!r}"
        raise refuse(where, found, expected, "name the columns in the first line")
    twice = [name for name in dict.fromkeys(columns) if columns.count(name) > 1]
    if twice:
        raise refuse(where, f"{twice[0]!r} twice", "each column once", "rename or remove one")
    given = [name for name in _CONCENTRATIONS if name in columns]
    if role == "vials" and len(given) != 1:
        found = " and ".join(given) or "no column of concentrations"
        expected = f"one of {' '.join(_CONCENTRATIONS)}"
        raise refuse(where, found, expected, "keep one column of concentrations, with its unit")


def _check_row(where: str, row: Mapping[str, str], required: Iterable[str]) -> None:
    if not row["name"] or row["name"] == "n/a":
        raise refuse(f"{where}, name", "none", "a name", _REMEDY)
    if row.get("side", "n/a") not in ("left", "right", "n/a"):
        raise refuse(f"{where}, side", repr(row["side"]), "left or right", _REMEDY)
    ranges = {**dict.fromkeys(_PLACE, _PLACE_MM), **_OPTIONAL}
    for name, cell in row.items():
        if name in ranges and (cell != "n/a" or name in required):
            _check_number(f"{where}, {name}", cell, ranges[name])


def _check_number(where: str, cell: str, may_be: _Range) -> None:
    try:
        value = float(cell) if cell.isascii() and "_" not in cell else math.nan
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and may_be.least <= value <= may_be.most):
        raise refuse(where, repr(cell), may_be.expected, _REMEDY)


# --- 3D Slicer's markups --------------------------------------------------------------------------


def _check_markups(text: str) -> None:
    """Check markups as 3D Slicer writes them: ``markups[].controlPoints[]`` in mm, LPS or RAS.

    Source: "Markups json file format", Docs/developer_guide/modules/markups.md of Slicer/Slicer.
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise refuse("file", f"no JSON: {error}", "JSON", "save it from 3D Slicer again") from None
    seen: set[str] = set()
    for i, item in enumerate(_list(found, "markups", "file")):
        where = f"markups[{i}]"
        markup = item if isinstance(item, dict) else {}
        points = _list(markup, "controlPoints", where)
        system, unit = markup.get("coordinateSystem", "LPS"), markup.get("coordinateUnits", "mm")
        if system not in ("LPS", "RAS"):
            raise refuse(f"{where}.coordinateSystem", repr(system), "LPS or RAS", "save it so")
        if isinstance(unit, str) and unit != "mm":
            raise refuse(f"{where}.coordinateUnits", repr(unit), "mm", "save it so")
        for j, point in enumerate(points):
            name = _check_point(point, f"{where}.controlPoints[{j}]")
            if name in seen:
                raise refuse(f"{where}.controlPoints[{j}].label", repr(name), "once", "rename one")
            seen.update((name,) if name else ())
    if not seen:
        raise refuse("markups", "no point with a position", "at least one", "place the landmarks")


def _check_point(point: object, where: str) -> str:
    """Return the label of a point; empty where it was never placed."""
    if not isinstance(point, dict):
        raise refuse(where, "no object", "a point with label and position", "save it again")
    if point.get("positionStatus", "defined") != "defined":
        return ""
    label, position = point.get("label"), point.get("position")
    if not isinstance(label, str) or not label.strip():
        raise refuse(f"{where}.label", "none", "the landmark's name", "name the point")
    numbers = position if isinstance(position, list) else []
    good = [type(x) in (int, float) and abs(x) < _MAX_MM for x in numbers]  # true is no number
    if len(good) != 3 or not all(good):
        raise refuse(f"{where}.position", repr(position), "three numbers, in mm", "place the point")
    return label.strip()


def _list(table: object, key: str, where: str) -> list[object]:
    value = table.get(key) if isinstance(table, dict) else None
    if not isinstance(value, list):
        remedy = "save the points from 3D Slicer as .mrk.json"
        raise refuse(where, f"no list {key!r}", "markups of 3D Slicer", remedy)
    return value


# --- labels ---------------------------------------------------------------------------------------


def _check_labels(path: Path) -> None:
    """Refuse what is no NIfTI, is not three-dimensional or ends before its last voxel."""
    import nibabel
    from nibabel.filebasedimages import ImageFileError
    from nibabel.spatialimages import HeaderDataError, HeaderTypeError

    logging.getLogger("nibabel.global").setLevel(logging.CRITICAL + 1)  # a refusal is one line
    # What nibabel raises for damaged headers and streams.
    damage = (OSError, EOFError, ValueError, OverflowError, zlib.error)
    remedy = "give a label image as .nii or .nii.gz"
    if not path.name.lower().endswith((".nii", ".nii.gz")):
        raise refuse("file", f"the name {path.name}", "a NIfTI", remedy)
    try:
        image = nibabel.load(path)
        if not isinstance(image, nibabel.Nifti1Image):  # those of NIfTI-2 are such too
            raise refuse("image", type(image).__name__, "a NIfTI", remedy)
        shape = image.shape
        if len(shape) < 3 or min(shape) < 1 or any(n != 1 for n in shape[3:]):
            raise refuse("image", f"shape {shape}", "three dimensions", remedy)
        n_bytes = math.prod(shape) * image.get_data_dtype().itemsize
        expected = int(getattr(image.dataobj, "offset", 0)) + n_bytes
        found = _length(path, expected)
    except (*damage, ImageFileError, HeaderDataError, HeaderTypeError) as error:
        raise refuse("image", f"no NIfTI: {error}", "a NIfTI that can be read", remedy) from None
    if found < expected:
        raise refuse("image", f"{found} bytes", f"{expected}, by its header", "copy it again")


def _length(path: Path, enough: int) -> int:
    """Return how many bytes a file has, unpacked; counting ends where there are enough."""
    n_bytes = 0
    with gzip.open(path) if path.name.lower().endswith(".gz") else path.open("rb") as file:
        while n_bytes <= enough and (block := file.read(_BLOCK_BYTES)):
            n_bytes += len(block)
    return n_bytes
