"""The record of a stage: what its outputs were made from, and what they are."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from stat import S_ISREG
from types import MappingProxyType
from typing import Final, Self

from ultrahand.io.sidecar import sha256_of

FORMAT: Final = 1
"""Version of the records; those of another are as good as none."""

_LATER_NS: Final = 2**63
"""After every time stamp."""

Facts = Mapping[str, object]


def stage_key(
    stage: str, *, inputs: Mapping[str, str], options: Mapping[str, object], version: str
) -> str:
    """Return what an output depends on, as one sha256.

    Parameters
    ----------
    stage
        Name of the stage.
    inputs
        Role of each input to the sha256 of its bytes.
    options
        Every option, defaults included, as JSON takes it.
    version
        Of ultrahand.
    """
    parts = {"stage": stage, "inputs": inputs, "options": options, "version": version}
    text = json.dumps(parts, sort_keys=True, allow_nan=False, default=dict)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True, kw_only=True, slots=True)
class Output:
    """A file that a stage made."""

    path: str
    """Relative to the store's folder, with ``/``."""
    n_bytes: int
    sha256: str

    @classmethod
    def of(cls, path: str, place: Path) -> Self:
        """Describe a file that will be called ``path``."""
        return cls(path=path, n_bytes=place.stat().st_size, sha256=sha256_of(place))

    def is_there(self, folder: Path) -> bool:
        """Tell whether there is a file of that name and size in a folder."""
        return self.is_at(folder, recorded_ns=_LATER_NS)

    def is_at(self, folder: Path, *, recorded_ns: int | None) -> bool:
        """Tell whether the file is there as it was made.

        Parameters
        ----------
        folder
            The store's.
        recorded_ns
            When its record was written. A file that changed since then is compared by hash, any
            other by its size alone; None compares every file by hash.
        """
        place = folder / self.path
        try:
            status = place.stat()
            if not S_ISREG(status.st_mode) or status.st_size != self.n_bytes:
                return False
            unchanged = recorded_ns is not None and status.st_mtime_ns < recorded_ns
            return unchanged or sha256_of(place) == self.sha256
        except OSError:
            return False


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """What stands in the store about one stage."""

    stage: str
    key: str
    done: bool
    """False while the outputs are put in their places."""
    outputs: tuple[Output, ...]
    facts: Facts = field(default_factory=lambda: MappingProxyType({}))
    """What the stage had to say, as JSON."""

    def as_text(self) -> str:
        """Return the record as JSON."""
        found = {
            "format": FORMAT,
            "stage": self.stage,
            "key": self.key,
            "done": self.done,
            "outputs": [
                {"path": o.path, "bytes": o.n_bytes, "sha256": o.sha256} for o in self.outputs
            ],
            "facts": dict(self.facts),
        }
        return json.dumps(found, indent=2, allow_nan=False) + "\n"

    @classmethod
    def from_text(cls, text: str) -> Self | None:
        """Read a record; None where it is none, or of another format."""
        try:
            found = json.loads(text)
            if found["format"] != FORMAT:
                return None
            outputs = tuple(
                Output(path=_inside(o["path"]), n_bytes=int(o["bytes"]), sha256=str(o["sha256"]))
                for o in found["outputs"]
            )
            return cls(
                stage=str(found["stage"]),
                key=str(found["key"]),
                done=found["done"] is True,
                outputs=outputs,
                facts=MappingProxyType(dict(found["facts"])),
            )
        except (ValueError, TypeError, LookupError, RecursionError):
            return None


def _inside(path: str) -> str:
    """Return a path that cannot lead out of the store's folder."""
    parts = PurePosixPath(path).parts
    if not parts or ".." in parts or PurePosixPath(path).is_absolute():
        raise ValueError(path)
    return path
