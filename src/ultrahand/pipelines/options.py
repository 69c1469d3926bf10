"""What a user can ask of a reconstruction, every default in one place."""

from __future__ import annotations

import enum
import os
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ultrahand.recon.k_units import KUnit


class Method(enum.StrEnum):
    """How k-space becomes an image."""

    AUTO = "auto"
    """Decided from the file; the choice and its reason are reported."""
    FFT = "fft"
    """Cartesian: Fourier transform, missing samples zero."""
    SENSE = "sense"
    """Cartesian: missing lines from coil sensitivities (ESPIRiT), the image that explains all."""
    GRAPPA = "grappa"
    """Cartesian: missing lines from their neighbours in k-space, then as FFT."""
    GRIDDING = "gridding"
    """Any trajectory: density compensation and adjoint NUFFT."""
    CS = "cs"
    """Lines or any trajectory: the simplest image that explains all samples (a `prior`)."""
    CG = "cg"
    """Any trajectory: the image that explains all samples of all coils (iterative SENSE)."""
    DYNAMIC = "dynamic"
    """Radial, or a stack of stars: all frames of a continuous acquisition together."""

    @property
    def cartesian(self) -> bool:
        """Whether it takes lines of a Cartesian grid."""
        return self in (Method.FFT, Method.SENSE, Method.GRAPPA)


class Engine(enum.StrEnum):
    """Whose transforms and solvers are used."""

    ULTRAHAND = "ultrahand"
    SIGPY = "sigpy"
    """For comparison: see `pipelines.by_sigpy`."""


class Sparsity(enum.StrEnum):
    """What `Method.CS` takes for simple: see `recon.regularised.Prior`."""

    WAVELET = "wavelet"
    TV = "tv"
    TGV = "tgv"


class Dynamic(enum.StrEnum):
    """What joins the frames of a dynamic series."""

    GRASP = "grasp"
    """Few steps in the course of a voxel."""
    LOW_RANK_SPARSE = "low-rank-sparse"
    """A background of few courses, and what is bright for some time in few places."""
    SUBSPACE = "subspace"
    """Courses of a library of enhancement curves; each spoke at its own instant."""
    VIEW_SHARING = "view-sharing"
    """Gridding; a frame takes the outer k-space of its neighbours too."""


class Combine(enum.StrEnum):
    """How coil images become one."""

    AUTO = "auto"
    """Root sum of squares for a magnitude, adaptive where phase is asked for."""
    RSS = "rss"
    WALSH = "walsh"


class PartialFourier(enum.StrEnum):
    """What is done about the missing part of a partial acquisition."""

    ZERO = "zero"
    POCS = "pocs"


class Parts(enum.StrEnum):
    """Which parts of the image are written."""

    MAG = "mag"
    MAG_PHASE = "mag,phase"
    COMPLEX = "complex"


@dataclass(frozen=True, kw_only=True, slots=True)
class ReconOptions:
    """Options of `reconstruct`."""

    method: Method = Method.AUTO
    engine: Engine = Engine.ULTRAHAND
    prior: Sparsity = Sparsity.WAVELET
    prior_weight: float | None = None
    """In noise units; None for the prior's own default."""
    combine: Combine = Combine.AUTO
    partial_fourier: PartialFourier = PartialFourier.ZERO
    parts: Parts = Parts.MAG
    whiten: bool = True
    """False: the noise scan is not used."""
    nucleus: str | None = None
    trajectory_unit: KUnit | None = None
    trajectory_offset: int = 0
    trajectory_axes: str | None = None
    replicas: int = 0
    """Of an image with a prior, for its standard error; 0 for none."""
    dynamic: Dynamic = Dynamic.GRASP
    """Of `Method.DYNAMIC` only."""
    gradient_delays: bool = True
    """Whether full spokes are moved to where they cross, if they are found elsewhere."""
    frame_time_s: float | None = None
    """Length of the frames that a continuous acquisition is cut into; None: it is one volume."""
    max_memory: int = 0
    """Bytes; 0 for four fifths of the machine's memory."""
    threads: int = 0
    """0 for as many as the process may use."""

    def __post_init__(self) -> None:
        kinds = {
            "method": Method,
            "engine": Engine,
            "combine": Combine,
            "parts": Parts,
            "prior": Sparsity,
            "dynamic": Dynamic,
        }
        for name, kind in (kinds | {"partial_fourier": PartialFourier}).items():
            object.__setattr__(self, name, kind(getattr(self, name)))  # plain words are welcome
        if self.trajectory_unit is not None:
            object.__setattr__(self, "trajectory_unit", KUnit(self.trajectory_unit))

    @property
    def memory_limit(self) -> int:
        return self.max_memory or machine_memory() * 4 // 5

    @property
    def workers(self) -> int:
        return min(self.threads, machine_threads()) if self.threads else machine_threads()


def machine_threads() -> int:
    """Return how many threads this process may run at once."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@cache
def machine_memory() -> int:
    """Return the memory this process may use in bytes: the machine's, or its container's.

    8 GB where it cannot be told.
    """
    try:
        physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        physical = 8 * 10**9
    return min([physical, *_container_limits()])


def _container_limits() -> list[int]:
    """Return the limits of Linux' control groups, version 2 and 1."""
    limits = []
    for place in ("memory.max", "memory/memory.limit_in_bytes"):
        with suppress(OSError, ValueError):  # no such group, or no limit ("max")
            limits.append(int(Path("/sys/fs/cgroup", place).read_text(encoding="ascii")))
    return limits
