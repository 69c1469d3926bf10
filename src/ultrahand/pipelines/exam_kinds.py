"""Whether a measurement is what its kind in ``exam.toml`` says."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from ultrahand.records.findings import Finding, warning

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ultrahand.pipelines.plan import ReconPlan

_PROTON: Final = ("morphology", "multiecho", "t1", "b1", "dynamic")
_SODIUM: Final = ("sodium", "sodium_b1", "tq")
NUCLEI: Final[Mapping[str, str]] = MappingProxyType(
    {**dict.fromkeys(_PROTON, "1H"), **dict.fromkeys(_SODIUM, "23Na")}
)
"""Kind of series to the nucleus that its results are computed for."""
COUNTERS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "t1": ("set", "flip angles"),
        "b1": ("set", "flip angles"),
        "sodium_b1": ("set", "flip angles"),
        "multiecho": ("contrast", "echo times"),
    }
)
"""Kind of series to the counter that varies in it, and what it counts."""


def kind_findings(kind: str, plan: ReconPlan) -> tuple[Finding, ...]:
    """Return what does not fit the kind of a series; its images are made all the same.

    Parameters
    ----------
    kind
        As in ``exam.toml``.
    plan
        What was found in the measurement.
    """
    found = []
    nucleus = NUCLEI.get(kind)
    if nucleus and plan.nucleus and plan.nucleus != nucleus:
        found.append(
            warning(
                "nucleus",
                found=f"{plan.nucleus} in a series of kind {kind}",
                expected=nucleus,
                remedy="correct kind or file in exam.toml, or name the nucleus by "
                f"options.nucleus = '{nucleus}' where the header is wrong",
            )
        )
    counter, counted = COUNTERS.get(kind, ("", ""))
    if counter:
        found += _one_alone(kind, plan, counter, counted)
    return tuple(found)


def _one_alone(kind: str, plan: ReconPlan, counter: str, counted: str) -> list[Finding]:
    volumes = [volume for series in plan.series for volume in series.volumes]
    if len({(v.encoding, v.counters.get(counter, 0)) for v in volumes}) > 1:
        return []
    return [
        warning(
            f"idx.{counter}",
            found=f"one {counter} in a series of kind {kind}",
            expected=f"at least two, as {counted} differ",
            remedy=f"put all {counted} into one file, counted by {counter}, or correct its kind",
        )
    ]
