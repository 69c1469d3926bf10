"""What a sidecar says about how its image was made."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

from ultrahand import __version__
from ultrahand.numerics.fft import engine_versions
from ultrahand.records import Finding, Image, Provenance

if TYPE_CHECKING:
    from ultrahand.cli.opening import Opened
    from ultrahand.pipelines.timing import FrameTimes
    from ultrahand.recon.sorting import Series


def provenance_of(
    opened: Opened,
    series: Series,
    steps: tuple[str, ...],
    findings: tuple[Finding, ...],
    *,
    digests: Mapping[str, str],
    command: str,
) -> Provenance:
    """Return how the images of a series were made.

    Parameters
    ----------
    opened, series
        The measurement, its plan, and which images of it.
    steps, findings
        What was done, and what was odd.
    digests
        Role of each input to its sha256.
    command
        What makes the images again.
    """
    return Provenance(
        inputs=digests,
        options=_resolved(opened, series),
        steps=steps,
        findings=tuple(dict.fromkeys(findings)),
        versions=_versions(),
        threads=opened.plan.options.workers,
        seed=None,
        command=command,
    )


def fields_of(
    opened: Opened,
    series: Series,
    image: Image,
    times: FrameTimes | None,
    provenance: Provenance,
) -> dict[str, object]:
    """Return the fields of one image's sidecar."""
    from ultrahand.pipelines.sidecar import sidecar_fields

    return sidecar_fields(opened.raw.header, opened.plan, series, image, times, provenance)


def _resolved(opened: Opened, series: Series) -> dict[str, object]:
    """Return every option as it was resolved for one image: nothing stands as ``auto``."""
    chosen = opened.plan.options
    encoding = opened.plan.encodings[series.volumes[0].encoding]
    grid = encoding.non_cartesian
    if encoding.whitener is None:
        noise = "none"
    else:
        noise = "file" if "noise" in opened.inputs else "noise readouts of the file"
    return {
        **opened.raw.reading,
        "method": str(encoding.method),
        "engine": str(chosen.engine),
        "prior": str(chosen.prior) if str(encoding.method) == "cs" else None,
        "prior_weight": chosen.prior_weight,
        "replicas": chosen.replicas,
        "gradient_delays": "estimate" if chosen.gradient_delays else "none",
        "b0_map": "file" if "b0_map" in opened.inputs else None,
        "dynamic": str(chosen.dynamic) if opened.plan.dynamic else None,
        "combine": str(opened.plan.combine),
        "partial_fourier": str(chosen.partial_fourier),
        "parts": str(chosen.parts),
        "noise": noise,
        "nucleus": opened.plan.nucleus,
        "trajectory": ("file" if "trajectory" in opened.inputs else "in the raw data")
        if grid
        else None,
        "trajectory_unit": str(grid.unit) if grid else None,
        "trajectory_offset": chosen.trajectory_offset,
        "trajectory_axes": chosen.trajectory_axes,
        "frame_time_s": chosen.frame_time_s,
        "max_memory_bytes": chosen.memory_limit,
        "readouts": dict(opened.plan.counts),
    }


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    names = ("numpy", "scipy", "numba", "h5py", "finufft", "sigpy", "nibabel")
    found = {name: version(name) for name in names} | engine_versions()
    return {"ultrahand": __version__, "python": sys.version.split()[0]} | found
