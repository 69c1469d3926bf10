"""Open what a command was given and decide what will be done with it: shared by check and recon."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ultrahand.cli.arguments import input_files, split_name
from ultrahand.cli.bounds import bounded
from ultrahand.errors import InputError, UsageError
from ultrahand.io.field_file import read_field
from ultrahand.io.read_raw import Conjugate, read_raw
from ultrahand.io.trajectory_file import read_trajectory
from ultrahand.recon.k_units import KUnit
from ultrahand.records import Finding, Level, RawData

if TYPE_CHECKING:
    from ultrahand.pipelines import ReconPlan

log = logging.getLogger("ultrahand")

_TRAJECTORY_SLACK = 8
"""How many times as many positions as samples an external trajectory may have."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A measurement and the plan for it."""

    raw: RawData
    plan: ReconPlan
    inputs: dict[str, Path]
    """Role to file: ``raw``, and ``noise`` and ``trajectory`` where given."""

    @property
    def findings(self) -> tuple[Finding, ...]:
        return self.raw.findings + self.plan.findings


def read(options: argparse.Namespace) -> RawData:
    """Read the raw file of a command."""
    with bounded(Path(options.raw)):
        return read_raw(options.raw, group=options.group, conjugate=Conjugate(options.conjugate))


def plan(
    raw: RawData, options: argparse.Namespace, *, notes: list[Finding] | None = None
) -> Opened:
    """Plan its reconstruction; the science is imported here, not before a file was read.

    ``notes`` takes the findings as they are made, also where the measurement is refused.
    """
    from ultrahand.pipelines import (
        Combine,
        Dynamic,
        Engine,
        Method,
        PartialFourier,
        Parts,
        ReconOptions,
        Sparsity,
        plan_reconstruction,
    )

    inputs = input_files(options)
    noise = None
    if "noise" in inputs:
        with bounded(inputs["noise"]):
            path, group = split_name(options.noise)
            noise = read_raw(path, group=group, conjugate=Conjugate(options.conjugate))
    trajectory, unit = None, options.trajectory_unit
    if options.trajectory:
        inside = split_name(options.trajectory)[1]
        most = _TRAJECTORY_SLACK * 3 * int(raw.readouts["number_of_samples"].sum())
        with bounded(inputs["trajectory"]):
            trajectory, declared = read_trajectory(inputs["trajectory"], inside, most=most)
        unit = unit or declared
    elif options.trajectory_offset or options.trajectory_axes:
        raise UsageError("--trajectory-offset and --trajectory-axes need --trajectory FILE")
    b0 = None
    if options.b0_map:
        with bounded(inputs["b0_map"]):
            b0 = read_field(inputs["b0_map"])
    chosen = ReconOptions(
        method=Method(options.method),
        engine=Engine(options.engine),
        prior=Sparsity(options.prior),
        prior_weight=options.prior_weight,
        replicas=options.replicas,
        dynamic=Dynamic(options.dynamic),
        combine=Combine(options.combine),
        partial_fourier=PartialFourier(options.partial_fourier),
        parts=Parts(getattr(options, "parts", "mag")),
        whiten=options.noise != "none",
        nucleus=options.nucleus,
        trajectory_unit=_unit(unit),
        trajectory_offset=options.trajectory_offset,
        trajectory_axes=options.trajectory_axes,
        gradient_delays=options.gradient_delays != "none",
        frame_time_s=options.frame_time,
        max_memory=options.max_memory,
        threads=options.threads,
    )
    try:
        made = plan_reconstruction(
            raw, chosen, noise=noise, trajectory=trajectory, b0=b0, notes=notes
        )
    except InputError as error:
        if error.role in inputs:
            error.file = error.file or inputs[error.role].name
        raise
    return Opened(raw, made, inputs)


def _unit(text: str | None) -> KUnit | None:
    try:
        return KUnit(text.lower()) if text else None
    except ValueError:
        raise UsageError(
            f"trajectory unit {text!r} is not known; declare it with --trajectory-unit, one of "
            f"{', '.join(KUnit)}"
        ) from None


def say(findings: Iterable[Finding], *, of: str = "") -> None:
    """Log findings, one line each: warnings as such, the rest for those who ask with -v.

    ``of`` names what they are about where a command handles several measurements.
    """
    for finding in findings:
        level = logging.INFO if finding.level is Level.INFO else logging.WARNING
        log.log(
            level,
            "%s%s: %s: found %s, expected %s; %s",
            f"{of}: " if of else "",
            finding.level,
            finding.field,
            finding.found,
            finding.expected,
            finding.remedy,
        )
