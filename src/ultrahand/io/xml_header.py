"""Read an ISMRMRD v1 XML header: leniently where files differ, never silently.

Schema: https://github.com/ismrmrd/ismrmrd/blob/master/schema/ismrmrd.xsd. What real files do
differently (missing limits, decimal matrix sizes, no namespace, unknown elements) is accepted and
noted; a number that is none, or contradicts itself, is refused.
"""

from __future__ import annotations

import math
import re
from types import MappingProxyType
from typing import Final

from ultrahand.errors import InputError, one_line
from ultrahand.io.xml_tree import Node, parse
from ultrahand.records.findings import Finding, info, warning
from ultrahand.records.header import Encoding, EncodingSpace, Header, Limit
from ultrahand.units import M_PER_MM, S_PER_MS

NAMESPACE: Final = "http://www.ismrm.org/ISMRMRD"
FOV_RANGE_MM: Final = (1.0, 5000.0)
"""Outside of it the unit is surely not millimetres (metres or micrometres)."""
THINNEST_MM: Final = 1e-3
"""Of an axis of one voxel, as a slice."""
MAX_COUNTER: Final = 65535
MAX_TIME_MS: Final = 1e6
"""A quarter of an hour: no sequence waits longer."""
MAX_FLIP_DEG: Final = 360.0
MATRIX_TOLERANCE: Final = 0.01
"""Converters write 35.9996 for 36; anything further from a whole number is refused."""

_COUNTERS: Final = (
    *("kspace_encoding_step_0", "kspace_encoding_step_1", "kspace_encoding_step_2"),
    *("average", "slice", "contrast", "phase", "repetition", "set", "segment"),
    *(f"user_{i}" for i in range(8)),
)
_TEXT: Final = 64
"""Characters kept of a text."""
_POSITIONS: Final = frozenset("HFP HFS HFDR HFDL FFP FFS FFDR FFDL".split())
_SPACE: Final = frozenset({"matrixSize", "fieldOfView_mm"})

# Elements of the schema below each element that is read. Subject, study, measurement, waveform
# and description subtrees are left alone: nothing in them takes part in reconstruction.
_KNOWN: Final = {
    "ismrmrdHeader": frozenset(
        "version subjectInformation studyInformation measurementInformation "
        "acquisitionSystemInformation experimentalConditions encoding sequenceParameters "
        "userParameters waveformInformation".split()
    ),
    "acquisitionSystemInformation": frozenset(
        "systemVendor systemModel systemFieldStrength_T relativeReceiverNoiseBandwidth "
        "receiverChannels coilLabel institutionName stationName deviceID deviceSerialNumber".split()
    ),
    "experimentalConditions": frozenset({"H1resonanceFrequency_Hz"}),
    "encoding": frozenset(
        "encodedSpace reconSpace encodingLimits trajectory trajectoryDescription "
        "parallelImaging echoTrainLength".split()
    ),
    "encodedSpace": _SPACE,
    "reconSpace": _SPACE,
    "encodingLimits": frozenset(_COUNTERS),
    "sequenceParameters": frozenset(
        "TR TE TI flipAngle_deg sequence_type echo_spacing diffusionDimension diffusion "
        "diffusionScheme".split()
    ),
    "userParameters": frozenset(
        {f"userParameter{kind}" for kind in ("Long", "Double", "String", "Base64")}
    ),
}


def read_header(document: bytes) -> tuple[Header, tuple[Finding, ...]]:
    """Parse the bytes of a header.

    Parameters
    ----------
    document
        The XML as stored; trailing NUL bytes are dropped.

    Returns
    -------
    Header, tuple of Finding
        The header in SI units, and what was odd in it.

    Raises
    ------
    InputError
        XML that cannot be read safely, a missing encoding, or a number that is none.
    """
    root = parse(document)
    findings: list[Finding] = []
    if root.name != "ismrmrdHeader":
        raise InputError(
            "xml header",
            found=f"root element {root.name}",
            expected="ismrmrdHeader",
            remedy="check that this is an ISMRMRD file",
        )
    if root.namespace != NAMESPACE:
        findings.append(
            warning(
                "xml namespace",
                found="another or none",
                expected=NAMESPACE,
                remedy="read all the same; correct the header to silence this",
            )
        )
    _note_unknown(root, findings)
    header = _header(root, findings)
    return header, tuple(findings)


def _header(root: Node, findings: list[Finding]) -> Header:
    system = root.one("acquisitionSystemInformation") or _nothing("acquisitionSystemInformation")
    conditions = root.one("experimentalConditions") or _nothing("experimentalConditions")
    sequence = root.one("sequenceParameters") or _nothing("sequenceParameters")
    measurement = root.one("measurementInformation") or _nothing("measurementInformation")
    return Header(
        encodings=_encodings(root, findings),
        field_strength_t=_positive_or_none(system, "systemFieldStrength_T", findings),
        frequency_hz=_positive_or_none(conditions, "H1resonanceFrequency_Hz", findings),
        vendor=_text(system, "systemVendor"),
        model=_text(system, "systemModel"),
        patient_position=_patient_position(measurement, findings),
        relative_noise_bandwidth=_bandwidth(system, findings),
        coil_labels=_coil_labels(system),
        repetition_times_s=_times_s(sequence, "TR", findings),
        echo_times_s=_times_s(sequence, "TE", findings),
        inversion_times_s=_times_s(sequence, "TI", findings),
        flip_angles_deg=_within(sequence, "flipAngle_deg", MAX_FLIP_DEG, findings),
        user_parameters=MappingProxyType(_user_parameters(root, findings)),
    )


def _encodings(root: Node, findings: list[Finding]) -> tuple[Encoding, ...]:
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
    sizes = tuple(_whole(matrix, axis, findings) for axis in "xyz")
    lengths = tuple(_length(fov, axis) for axis in "xyz")
    for axis, size in zip("xyz", sizes, strict=True):
        if not 1 <= size <= 65535:
            raise _bad_number(f"{matrix.path}/{axis}", str(size), "1 to 65535")
    for axis, length, size in zip("xyz", lengths, sizes, strict=True):
        low = FOV_RANGE_MM[0] if size > 1 and axis != "z" else THINNEST_MM
        if not low <= length <= FOV_RANGE_MM[1]:
            raise _bad_number(
                f"{fov.path}/{axis}",
                str(length),
                f"{low:g} to {FOV_RANGE_MM[1]:g} (the unit of fieldOfView_mm is millimetres)",
            )
    return EncodingSpace(
        matrix=(sizes[0], sizes[1], sizes[2]),
        fov_m=(lengths[0] * M_PER_MM, lengths[1] * M_PER_MM, lengths[2] * M_PER_MM),
    )


def _length(node: Node, axis: str) -> float:
    child = _required(node, axis)
    value = _number(child)
    if value <= 0:
        raise _bad_number(child.path, child.text, "a positive length in mm")
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
    for name in _COUNTERS:
        limit = limits.one(name)
        if limit is not None:
            low, high, center = (
                _counter(limit, part, findings) if limit.one(part) else None
                for part in ("minimum", "maximum", "center")
            )
            found[name] = Limit(minimum=low, maximum=high, center=center)
    return found


def _counter(limit: Node, part: str, findings: list[Finding]) -> int:
    value = _whole(limit, part, findings)
    if abs(value) > MAX_COUNTER:
        raise _bad_number(f"{limit.path}/{part}", str(value), f"at most {MAX_COUNTER}")
    return value


def _acceleration(node: Node) -> tuple[int, int] | None:
    parallel = node.one("parallelImaging")
    factor = parallel.one("accelerationFactor") if parallel else None
    if factor is None:
        return None
    steps = (factor.one("kspace_encoding_step_1"), factor.one("kspace_encoding_step_2"))
    values = [round(_number(step)) if step else 1 for step in steps]
    return (max(values[0], 1), max(values[1], 1))


def _positive_or_none(
    node: Node,
    name: str,
    findings: list[Finding],
    remedy: str = "treated as unknown; the nucleus can be given with --nucleus",
) -> float | None:
    child = node.one(name)
    value = _number(child) if child else 0.0
    if value < 0 and child:
        raise _bad_number(child.path, child.text, "a positive number")
    if value == 0:
        findings.append(
            warning(
                name,
                found="0" if child else "no such element",
                expected="a positive number",
                remedy=remedy,
            )
        )
        return None
    return value


def _bandwidth(system: Node, findings: list[Finding]) -> float | None:
    name = "relativeReceiverNoiseBandwidth"
    child = system.one(name)
    if child is None:
        return None
    value = _positive_or_none(system, name, findings, remedy="treated as unknown: 1 is used")
    if value is not None and value > 1.5:
        raise _bad_number(child.path, child.text, "a fraction above 0, at most 1.5")
    return value


def _coil_labels(system: Node) -> tuple[str, ...]:
    pairs = []
    for label in system.all("coilLabel"):
        number, name = label.one("coilNumber"), label.one("coilName")
        if number is not None and name is not None:
            pairs.append((_number(number), one_line(name.text, _TEXT)))
    return tuple(name for _, name in sorted(pairs))


def _patient_position(measurement: Node, findings: list[Finding]) -> str | None:
    child = measurement.one("patientPosition")
    if child is None or child.text in _POSITIONS:
        return child.text if child else None
    findings.append(
        warning(
            "patientPosition",
            found=f"{len(child.text)} characters",
            expected=", ".join(sorted(_POSITIONS)),
            remedy="left out; it takes no part in the geometry",
        )
    )
    return None


def _user_parameters(root: Node, findings: list[Finding]) -> dict[str, str | float | int]:
    found: dict[str, str | float | int] = {}
    unread = 0
    for block in root.all("userParameters"):
        for node in block.children:
            name, value = node.one("name"), node.one("value")
            if name is None or value is None:
                continue
            label = one_line(name.text, _TEXT)
            if node.name == "userParameterString":
                found[label] = one_line(value.text, 256)
            elif node.name in ("userParameterLong", "userParameterDouble"):
                number = _number_or_none(value)
                unread += number is None
                if number is not None:
                    found[label] = number
    if unread:
        findings.append(
            warning(
                "userParameters",
                found=f"{unread} numbers that are none",
                expected="decimal numbers",
                remedy="left out",
            )
        )
    return found


def _times_s(node: Node, name: str, findings: list[Finding]) -> tuple[float, ...]:
    return tuple(value * S_PER_MS for value in _within(node, name, MAX_TIME_MS, findings))


def _within(node: Node, name: str, most: float, findings: list[Finding]) -> tuple[float, ...]:
    """Return the values of a sequence parameter; none of them where one cannot be right."""
    values = tuple(_number(child) for child in node.all(name))
    wrong = [value for value in values if not 0 <= value <= most]
    if not wrong:
        return values
    findings.append(
        warning(
            f"sequenceParameters {name}",
            found=f"{wrong[0]:g}",
            expected=f"0 to {most:g}",
            remedy=f"all {name} are left out; correct the header",
        )
    )
    return ()


def _text(node: Node, name: str) -> str | None:
    child = node.one(name)
    return one_line(child.text, _TEXT) if child and child.text else None


def _required(node: Node, name: str) -> Node:
    child = node.one(name)
    if child is None:
        raise InputError(
            f"xml {node.path}/{name}",
            found="no such element",
            expected="a number",
            remedy="convert the measurement again",
        )
    return child


_NUMBER: Final = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,6})?")


def _number(node: Node) -> float:
    """Read a finite number written in the schema's way (no comma, no NaN, no infinity)."""
    value = _number_or_none(node)
    if value is None:
        raise _bad_number(node.path, node.text, "a finite decimal number")
    return value


def _number_or_none(node: Node) -> float | None:
    value = float(node.text) if _NUMBER.fullmatch(node.text) else math.nan
    return value if math.isfinite(value) else None


def _whole(node: Node, name: str, findings: list[Finding]) -> int:
    child = _required(node, name)
    value = _number(child)
    whole = round(value)
    if abs(value - whole) > MATRIX_TOLERANCE:
        raise _bad_number(child.path, child.text, "a whole number")
    if value != whole or not child.text.lstrip("+-").isdigit():
        findings.append(
            warning(
                f"xml {child.path}",
                found=child.text[:20],
                expected="a whole number",
                remedy=f"{whole} is used",
            )
        )
    return whole


def _bad_number(path: str, found: str, expected: str) -> InputError:
    return InputError(
        f"xml {path}", found=repr(found[:40]), expected=expected, remedy="correct the header"
    )


def _nothing(name: str) -> Node:
    return Node(name=name, path=name, namespace=NAMESPACE)


def _note_unknown(node: Node, findings: list[Finding]) -> None:
    """Note elements the schema does not know, by name and count, never by content."""
    known = _KNOWN.get(node.name)
    if known is None:
        return
    unknown = sorted({child.name for child in node.children} - known)
    if unknown:
        shown = ", ".join(name[:40] for name in unknown[:5])
        findings.append(
            warning(
                f"xml {node.path}",
                found=f"{len(unknown)} unknown element(s): {shown}",
                expected="elements of the ISMRMRD schema",
                remedy="ignored; a newer schema may have added them",
            )
        )
    for child in node.children:
        if child.name in known:
            _note_unknown(child, findings)
