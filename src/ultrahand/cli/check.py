"""``ultrahand check``: what is odd in a raw file, and what recon would do with it."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from ultrahand.cli import opening
from ultrahand.errors import InputError, ResourceError, UltrahandError
from ultrahand.pipelines import ReconPlan
from ultrahand.pipelines.audit import audit_samples, describe
from ultrahand.pipelines.compare import count_kinds
from ultrahand.pipelines.memory import memory_needed
from ultrahand.pipelines.timing import frame_times
from ultrahand.records import Finding, RawData


def run(options: argparse.Namespace) -> int:
    """Audit a file; the exit code is that of a refusal where recon would refuse it."""
    findings: list[Finding] = []
    raw: RawData | None = None
    plan: ReconPlan | None = None
    refusal: UltrahandError | None = None
    needed = 0
    try:
        raw = opening.read(options)
        findings += raw.findings
        plan = opening.plan(raw, options, notes=findings).plan
        needed = memory_needed(raw, plan)
        for series in plan.series:
            findings += [f for f in frame_times(raw, series)[1] if f not in findings]
        findings += audit_samples(raw, plan)
    except (InputError, ResourceError) as error:
        refusal = error
        findings.append(Finding.of_error(error))
    result = {
        "file": Path(options.raw).name,
        "accepted": refusal is None,
        "readouts": count_kinds(raw) if raw else {},
        "would": describe(plan, needed) if plan and refusal is None else [],
        "findings": [finding.as_dict() for finding in findings],
    }
    if options.json:
        print(json.dumps(result, indent=2))
    else:
        _print(result, findings)
    if refusal is not None:
        raise refusal
    return 0


def _print(result: dict[str, object], findings: list[Finding]) -> None:
    readouts = result["readouts"]
    assert isinstance(readouts, dict)
    print(f"file: {result['file']}")
    print("readouts: " + (", ".join(f"{n} {k}" for k, n in readouts.items()) or "not counted"))
    rows = [("level", "field", "found", "expected", "remedy")]
    rows += [(f.level.value, f.field, f.found, f.expected, f.remedy) for f in findings]
    for row in rows:
        print("\t".join(row))
    would = result["would"]
    assert isinstance(would, list)
    for line in would or ["recon would refuse this file"]:
        print(line)
