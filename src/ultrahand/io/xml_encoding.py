"""The encodings of an XML header: matrices, fields of view, limits of the counters."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from ultrahand.errors import InputError, one_line
from ultrahand.io.xml_numbers import bad_number, number, required, whole
from ultrahand.io.xml_tree import Node
from ultrahand.records.findings import Finding, info, warning
from ultrahand.records.header import Encoding, EncodingSpace, Limit
from ultrahand.units import M_PER_MM

FOV_RANGE_MM: Final = (1.0, 5000.0)
"""Outside of it the unit is surely not millimetres (metres or micrometres)."""
THINNEST_MM: Final = 1e-3
"""Of an axis of one voxel, as a slice."""
MAX_COUNTER: Final = 65535
COUNTERS: Final = (
    *("kspace_encoding_step_0", "kspace_encoding_step_1", "kspace_encoding_step_2"),
    *("average", "slice", "contrast", "phase", "repetition", "set", "segment"),
    *(f"user_{i}" for i in range(8)),
)

_TEXT: Final = 64
"""Characters kept of a text."""


def encodings(root: Node, findings: list[Finding]) -> tuple[Encoding, ...]:
    """Read all encodings; a header without any is refused."""
    nodes = root.all("encoding")
    if not nodes:
        raise InputError(
            "xml encoding",
            found="no encoding",
            expected="at least one, with encodedSpace",
            remedy="convert the measurement again",
        )
    return tuple(_encoding(node, findings) for node in nodes)


def _encoding(node: Node, findings: list[Finding]) -> Encoding:
    encoded = node.one("encodedSpace")
    if encoded is None:
        raise InputError(
            f"xml {node.path}/encodedSpace",
            found="no such element",
            expected="matrixSize and fieldOfView_mm",
            remedy="convert the measurement again",
        )
    recon = node.one("reconSpace")
    if recon is None:
        findings.append(
            warning(
                "reconSpace",
                found="no such element",
                expected="the asked matrix and field of view",
                remedy="the encoded space is used: readout oversampling stays in the image",
            )
        )
    trajectory = node.one("trajectory")
    encoded_space = _space(encoded, findings)
    return Encoding(
        trajectory=one_line(trajectory.text, _TEXT).lower() if trajectory else "",
        encoded=encoded_space,
        recon=_space(recon, findings) if recon else encoded_space,
        limits=MappingProxyType(_limits(node, findings)),
        acceleration=_acceleration(node),
    )


def _space(node: Node, findings: list[Finding]) -> EncodingSpace:
    matrix, fov = node.one("matrixSize"), node.one("fieldOfView_mm")
    if matrix is None or fov is None:
        raise InputError(
            f"xml {node.path}",
            found="matrixSize or fieldOfView_mm is missing",
            expected="both",
            remedy="convert the measurement again",
        )
    sizes = tuple(whole(matrix, axis, findings) for axis in "xyz")
    lengths = tuple(_length(fov, axis) for axis in "xyz")
    for axis, size in zip("xyz", sizes, strict=True):
        if not 1 <= size <= 65535:
            raise bad_number(f"{matrix.path}/{axis}", str(size), "1 to 65535")
    for axis, length, size in zip("xyz", lengths, sizes, strict=True):
        low = FOV_RANGE_MM[0] if size > 1 and axis != "z" else THINNEST_MM
        if not low <= length <= FOV_RANGE_MM[1]:
            raise bad_number(
                f"{fov.path}/{axis}",
                str(length),
                f"{low:g} to {FOV_RANGE_MM[1]:g} (the unit of fieldOfView_mm is millimetres)",
            )
    return EncodingSpace(
        matrix=(sizes[0], sizes[1], sizes[2]),
        fov_m=(lengths[0] * M_PER_MM, lengths[1] * M_PER_MM, lengths[2] * M_PER_MM),
    )


def _length(node: Node, axis: str) -> float:
    child = required(node, axis)
    value = number(child)
    if value <= 0:
        raise bad_number(child.path, child.text, "a positive length in mm")
    return value


def _limits(node: Node, findings: list[Finding]) -> dict[str, Limit]:
    limits = node.one("encodingLimits")
    if limits is None:
        findings.append(
            info(
                "encodingLimits",
                found="no such element",
                expected="limits of the counters",
                remedy="extents are taken from the readouts",
            )
        )
        return {}
    found: dict[str, Limit] = {}
    for name in COUNTERS:
        limit = limits.one(name)
        if limit is not None:
            low, high, center = (
                _counter(limit, part, findings) if limit.one(part) else None
                for part in ("minimum", "maximum", "center")
            )
            found[name] = Limit(minimum=low, maximum=high, center=center)
    return found


def _counter(limit: Node, part: str, findings: list[Finding]) -> int:
    value = whole(limit, part, findings)
    if abs(value) > MAX_COUNTER:
        raise bad_number(f"{limit.path}/{part}", str(value), f"at most {MAX_COUNTER}")
    return value


def _acceleration(node: Node) -> tuple[int, int] | None:
    parallel = node.one("parallelImaging")
    factor = parallel.one("accelerationFactor") if parallel else None
    if factor is None:
        return None
    steps = (factor.one("kspace_encoding_step_1"), factor.one("kspace_encoding_step_2"))
    values = [round(number(step)) if step else 1 for step in steps]
    return (max(values[0], 1), max(values[1], 1))
