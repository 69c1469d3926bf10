"""What the files of a reconstruction are called."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ultrahand.errors import UsageError

SUFFIXES: Final = (".nii.gz", ".nii")
ORDER: Final = ("enc", "slab", "echo", "phase", "set", "rep")
"""Of the entities that tell the images of one measurement apart."""
PARTS: Final = ("", "_part-phase", "_part-real", "_part-imag")


@dataclass(frozen=True, slots=True)
class Naming:
    """Names of the form ``STEM[_ENTITIES][_part-PART][_WORD][_stderr]SUFFIX``."""

    stem: Path
    """Folder and beginning of every name."""
    suffix: str
    """``.nii.gz`` or ``.nii``."""
    word: str = ""
    """What kind of image it is, with its underscore, as BIDS has it at the end of a name."""

    def image(self, entities: str = "", part: str = "", *, error: bool = False) -> Path:
        """Return the place of an image, or of its standard error."""
        kind = "_stderr" if error else ""
        return self._place(f"{entities}{part}{self.word}{kind}{self.suffix}")

    def sidecar(self, entities: str = "", part: str = "") -> Path:
        """Return the place of an image's sidecar."""
        return self._place(f"{entities}{part}{self.word}.json")

    def may_be(self, name: str, *, sidecars: bool = True) -> bool:
        """Tell whether a file of that name could be one of these, of either suffix."""
        entities = rf"(_({'|'.join(ORDER)})-\d+)*(_part-(phase|real|imag))?"
        endings = r"(_stderr)?\.nii(\.gz)?" + (r"|\.json" if sidecars else "")
        pattern = f"{re.escape(self.stem.name)}{entities}{re.escape(self.word)}({endings})"
        return re.fullmatch(pattern, name) is not None

    def _place(self, ending: str) -> Path:
        return self.stem.with_name(self.stem.name + ending)


def entities_of(counters: Mapping[str, int]) -> str:
    """Return entities as they stand in a file's name."""
    return "".join(f"_{key}-{counters[key]}" for key in ORDER if key in counters)


def split_suffix(path: Path) -> tuple[Path, str]:
    """Split ``image.nii.gz`` into ``image`` and ``.nii.gz``.

    Raises
    ------
    UsageError
        Another ending.
    """
    for suffix in SUFFIXES:
        if path.name.endswith(suffix) and len(path.name) > len(suffix):
            return path.with_name(path.name[: -len(suffix)]), suffix
    raise UsageError(f"-o {path.name}: the name of an image ends in .nii.gz or .nii")
