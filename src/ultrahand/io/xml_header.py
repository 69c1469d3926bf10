"""Read an ISMRMRD v1 XML header: leniently where files differ, never silently.

Schema: https://github.com/ismrmrd/ismrmrd/blob/master/schema/ismrmrd.xsd. What real files do
differently (missing limits, decimal matrix sizes, no namespace, unknown elements) is accepted and
noted; a number that is none, or contradicts itself, is refused.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from ultrahand.errors import InputError, one_line
from ultrahand.io.xml_encoding import COUNTERS, encodings
from ultrahand.io.xml_numbers import bad_number, number, number_or_none
from ultrahand.io.xml_tree import Node, parse
from ultrahand.records.findings import Finding, warning
from ultrahand.records.header import Header
from ultrahand.units import S_PER_MS

NAMESPACE: Final = "http://www.ismrm.org/ISMRMRD"
MAX_TIME_MS: Final = 1e6
"""A quarter of an hour: no sequence waits longer."""
MAX_FLIP_DEG: Final = 360.0

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
    "encodingLimits": frozenset(COUNTERS),
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
        encodings=encodings(root, findings),
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


def _positive_or_none(
    node: Node,
    name: str,
    findings: list[Finding],
    remedy: str = "treated as unknown; the nucleus can be given with --nucleus",
) -> float | None:
    child = node.one(name)
    value = number(child) if child else 0.0
    if value < 0 and child:
        raise bad_number(child.path, child.text, "a positive number")
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
        raise bad_number(child.path, child.text, "a fraction above 0, at most 1.5")
    return value


def _coil_labels(system: Node) -> tuple[str, ...]:
    pairs = []
    for label in system.all("coilLabel"):
        place, name = label.one("coilNumber"), label.one("coilName")
        if place is not None and name is not None:
            pairs.append((number(place), one_line(name.text, _TEXT)))
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
                read = number_or_none(value)
                unread += read is None
                if read is not None:
                    found[label] = read
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
    values = tuple(number(child) for child in node.all(name))
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
