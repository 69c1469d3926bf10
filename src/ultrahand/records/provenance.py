"""How a result was made: enough to make it again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ultrahand.records.findings import Finding


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """Input, options, versions and everything that was odd."""

    inputs: Mapping[str, str]
    """Role of each input file to the sha256 of its bytes."""
    options: Mapping[str, object]
    """Every option as it was resolved, defaults included."""
    steps: tuple[str, ...]
    """What was done to the data, in order, in words."""
    findings: tuple[Finding, ...]
    versions: Mapping[str, str]
    threads: int
    seed: int | None
    """None where nothing random took part."""
    command: str
    """The command line that makes the result again."""

    def as_dict(self) -> dict[str, object]:
        """Return the record as JSON-ready values."""
        return {
            "Inputs": {role: {"sha256": digest} for role, digest in self.inputs.items()},
            "Options": dict(self.options),
            "Steps": list(self.steps),
            "Findings": [finding.as_dict() for finding in self.findings],
            "Versions": dict(self.versions),
            "Threads": self.threads,
            "Seed": self.seed,
            "Command": self.command,
        }
