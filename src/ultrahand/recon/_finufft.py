r"""The non-uniform Fourier transform, by FINUFFT: the only file that imports it.

.. math:: y_j = \frac{1}{\sqrt{P}} \sum_r x_r e^{-2 \pi i\, k_j \cdot r}, \quad P = \prod shape

where :math:`r` is the position of a voxel in metres from voxel ``N // 2`` of every axis (even
and odd ``N``) and :math:`k_j` a sample position in cycles per metre. Scale and sign are those of
`ultrahand.recon.fourier`: on a Cartesian trajectory both agree. Like every discrete transform it
is periodic: samples beyond ``0.5 / voxel_size_m`` alias.

The same input gives the same bits in every run and for every number of threads. FINUFFT does not
promise that: its threaded adjoint adds in the order in which threads finish. So each FINUFFT call
here runs on one thread, and the parallel work is made of independent calls: one for every coil
and every *part* of the samples. The number of parts follows from the sizes of the problem, never
from the threads, and parts are added in their order.

Barnett, Magland, af Klinteberg: SIAM J Sci Comput 2019;41(5):C479, doi:10.1137/18M120885X.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from threading import Lock
from typing import Any, Literal, final

import numpy as np

from ultrahand.errors import ResourceError
from ultrahand.records.arrays import Complex, Float64, Real, require

FINEST_EPS = {"complex64": 1e-6, "complex128": 1e-13}
"""Rounding keeps finer requests from being met. In single precision the rounded positions add an
error of about 1e-7 times the longest axis in voxels, whatever is asked."""

MAX_PARTS = 8
"""Calls, of coils and parts together, beyond which samples are not split: a part costs its own
transform of the grid. Two parts for each of 8 coils (3.84 million samples, 64^3) take 6 to 12 %
more time than one, which is as much as FINUFFT takes for all coils in one plan."""


@final
class _Lane:
    """FINUFFT plans for one part of the samples; a lane does one transform at a time.

    A direction is planned when it is first wanted: sorting the samples takes as long as a
    transform, and most reconstructions need one direction alone.
    """

    def __init__(self, samples: slice, plan: Callable[[Literal[1, 2], slice], Any]) -> None:
        self.samples = samples
        self._plan = plan

    @cached_property
    def type1(self) -> Any:  # noqa: ANN401 - finufft is untyped
        return self._plan(1, self.samples)

    @cached_property
    def type2(self) -> Any:  # noqa: ANN401
        return self._plan(2, self.samples)


@final
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Nufft:
    """A planned non-uniform transform, made by `plan_nufft`; meets `LinearOperator`.

    Leading axes of an argument are a batch (coils): `forward` takes ``(..., *shape)`` and gives
    ``(..., n_samples)``, `adjoint` the reverse, for any number of coils. Calls from several
    threads wait for each other.
    """

    shape: tuple[int, ...]
    """Image ``(z, y, x)`` or ``(y, x)``."""
    n_samples: int
    dtype: np.dtype[Any]
    eps: float
    """Relative l2 error asked of FINUFFT."""
    upsampling: float
    """FINUFFT's fine grid over the image, per axis."""
    threads: int
    lanes: tuple[tuple[_Lane, ...], ...]
    """``lanes[slot][part]``: as many coils at a time as there are slots."""
    lock: Lock

    @property
    def domain(self) -> tuple[int, ...]:
        return self.shape

    @property
    def codomain(self) -> tuple[int, ...]:
        return (self.n_samples,)

    def forward(self, image: Complex, /) -> Complex:
        """Transform ``(..., *shape)`` to ``(..., n_samples)``."""
        images, batch = self._batch(image, self.domain)
        out = np.empty((len(images), self.n_samples), self.dtype)

        def transform(coil: int, lane: _Lane) -> None:  # samples are mostly more
            lane.type2.execute(images[coil] * self._scale, out=out[coil, lane.samples])

        with self.lock, ThreadPoolExecutor(self.threads) as pool:
            for coils in self._rounds(len(images)):
                _run(pool, [(transform, coil, lane) for coil, lane in coils])
        return out.reshape(*batch, self.n_samples)

    def adjoint(self, samples: Complex, /) -> Complex:
        """Transform ``(..., n_samples)`` to ``(..., *shape)``."""
        series, batch = self._batch(samples, self.codomain)
        out = np.empty((len(series), *self.shape), self.dtype)

        def transform(coil: int, lane: _Lane) -> Complex | None:
            mine = series[coil, lane.samples]
            if lane.samples.start:
                return lane.type1.execute(mine)
            lane.type1.execute(mine, out=out[coil])  # the first part: what others are added to
            return None

        with self.lock, ThreadPoolExecutor(self.threads) as pool:
            for coils in self._rounds(len(series)):
                partial = _run(pool, [(transform, coil, lane) for coil, lane in coils])
                for (coil, _), image in zip(coils, partial, strict=True):
                    if image is not None:
                        out[coil] += image
        out *= self._scale
        return out.reshape(*batch, *self.shape)

    @property
    def _scale(self) -> Real:
        return np.asarray(1 / math.sqrt(math.prod(self.shape)), self.dtype).real

    def _batch(self, array: Complex, core: tuple[int, ...]) -> tuple[Complex, tuple[int, ...]]:
        array = np.asarray(array)
        leading = array.ndim - len(core)
        require(
            leading >= 0 and array.shape[leading:] == core,
            f"expected an array of shape (..., {', '.join(map(str, core))}), got {array.shape}",
        )
        batch = array.shape[:leading]
        return np.ascontiguousarray(array, self.dtype).reshape(math.prod(batch), *core), batch

    def _rounds(self, n_coils: int) -> Iterable[list[tuple[int, _Lane]]]:
        """Group the calls so that no lane works twice at once: a coil a slot."""
        n_slots = len(self.lanes)
        for first in range(0, n_coils, n_slots):
            coils = range(first, min(first + n_slots, n_coils))
            yield [(coil, lane) for slot, coil in enumerate(coils) for lane in self.lanes[slot]]


def plan_nufft(
    k_per_m: Float64,
    *,
    shape: tuple[int, ...],
    voxel_size_m: tuple[float, ...],
    n_coils: int = 1,
    eps: float = 1e-4,
    dtype: type[np.complex64 | np.complex128] = np.complex64,
    threads: int = 1,
    max_bytes: int = 4 * 1024**3,
    n_parts: int | None = None,
) -> Nufft:
    """Plan a transform once, to run it many times.

    Parameters
    ----------
    k_per_m
        Sample positions in cycles per metre, shape ``(samples, dims)``, dims in the order read,
        phase, slice: `ultrahand.records.Trajectory.k_per_m`.
    shape
        Image voxels, ``(z, y, x)`` for 3 dims or ``(y, x)`` for 2.
    voxel_size_m
        Voxel spacing along read, phase, slice: the order of ``k_per_m``.
    n_coils
        How many coils are expected, to plan for; any other number works too.
    eps
        Relative l2 error; `FINEST_EPS` is the finest for each dtype.
    dtype
        complex64 or complex128, of the data and the arithmetic.
    threads
        Transforms that run at a time; changes the time, never the result.
    max_bytes
        Working memory; fewer coils are worked on at a time to stay below it.
    n_parts
        Parts into which the samples are split so that one coil keeps several threads busy;
        None follows the rule of `choose_parts`. Part of the definition of the result's bits.

    Raises
    ------
    ultrahand.errors.RecordError
        If shapes contradict each other, positions are not finite, or ``eps`` is out of reach.
    ultrahand.errors.ResourceError
        If one coil needs more than ``max_bytes``.
    """
    precision = np.dtype(dtype)
    angles = _angles(k_per_m, shape, voxel_size_m)
    n_samples = len(k_per_m)
    require(
        precision.name in FINEST_EPS and FINEST_EPS[precision.name] <= eps < 1,
        f"eps must lie in [{FINEST_EPS.get(precision.name)}, 1) for {precision}, got {eps:g}",
    )
    require(min(threads, n_coils, n_parts or 1) >= 1, "threads, n_coils, n_parts must be >= 1")
    upsampling = choose_upsampling(n_samples, shape, eps)
    parts = n_parts or choose_parts(n_samples, shape, upsampling, n_coils)
    slot_bytes = _slot_bytes(n_samples, shape, upsampling, parts, precision)
    if slot_bytes > max_bytes:
        raise ResourceError(f"one transform needs {slot_bytes} bytes, max_bytes is {max_bytes}")
    n_slots = min(n_coils, math.ceil(threads / parts), max_bytes // slot_bytes)
    edges = np.linspace(0, n_samples, parts + 1).astype(int)
    real = np.float32 if precision == np.complex64 else np.float64
    points = [a.astype(real) for a in angles]

    def plan(kind: Literal[1, 2], samples: slice) -> Any:  # noqa: ANN401 - finufft is untyped
        import finufft

        made = finufft.Plan(
            kind,
            shape,
            eps=eps,
            isign=1 if kind == 1 else -1,
            dtype=precision.name,
            nthreads=1,
            upsampfac=upsampling,
        )
        made.setpts(*(axis[samples] for axis in points))
        return made

    slices = [slice(int(a), int(b)) for a, b in pairwise(edges)]
    return Nufft(
        shape=shape,
        n_samples=n_samples,
        dtype=precision,
        eps=eps,
        upsampling=upsampling,
        threads=threads,
        lanes=tuple(tuple(_Lane(part, plan) for part in slices) for _ in range(n_slots)),
        lock=Lock(),
    )


def plan_modes(angles: Float64, modes: tuple[int, ...], eps: float) -> Callable[[Complex], Complex]:
    r"""Plan ``sum_j c_j exp(-i n . angle_j)`` for the whole n about 0, on one thread.

    Parameters
    ----------
    angles
        Radians within [-pi, pi], shape ``(dims, points)``.
    modes
        Number of n along each axis: from ``-(N // 2)`` on.
    eps
        Relative l2 error, at least ``FINEST_EPS["complex128"]``.

    Returns
    -------
    callable
        From complex128 ``(points,)`` to ``modes``; for one thread at a time.
    """
    import finufft

    few = angles.shape[1] < math.prod(modes)  # then the grid costs more than the points
    plan = finufft.Plan(
        1, modes, eps=eps, isign=-1, dtype="complex128", nthreads=1, upsampfac=1.25 if few else 2.0
    )
    plan.setpts(*np.ascontiguousarray(angles))
    return plan.execute


def transform_bytes(
    n_samples: int, shape: tuple[int, ...], eps: float, n_coils: int, n_parts: int | None = None
) -> int:
    """Return the least ``max_bytes`` of `plan_nufft` in single precision: one coil at a time."""
    upsampling = choose_upsampling(n_samples, shape, eps)
    parts = n_parts or choose_parts(n_samples, shape, upsampling, n_coils)
    return _slot_bytes(n_samples, shape, upsampling, parts, np.dtype(np.complex64))


def choose_upsampling(n_samples: int, shape: tuple[int, ...], eps: float) -> float:
    """Return FINUFFT's upsampling: 1.5 where the grid costs more than the samples, else 2.

    A fine grid of 1.5 costs 2 (3D: 2.4) times less to transform than one of 2. Measured on one
    thread, 2D 256^2 to 512^2 and 3D 64^3 to 128^3, eps 1e-3 and 1e-4: 1.5 is faster below 8
    samples a voxel, by up to 2, and 2 is not slower above. Finer than 1e-4, in single precision,
    1.5 misses its accuracy by up to 5. The 1.25 that FINUFFT offers is no faster than 1.5 and in
    single precision wrong by up to 20 times eps where the samples are an object's (largest at the
    centre of k-space), though not where they are random. Coarser than 1e-3, 1.5 can miss eps.
    """
    return 1.5 if 1e-4 <= eps <= 1e-3 and n_samples < 8 * math.prod(shape) else 2.0


def choose_parts(n_samples: int, shape: tuple[int, ...], upsampling: float, n_coils: int) -> int:
    """Return into how many parts the samples of one coil are split: a power of two.

    Every part pays for its own transform of the fine grid, so a part keeps at least half as many
    samples as that grid has points (the transform is then about a third of the work), and coils,
    which cost nothing to separate, come first.
    """
    fine = _fine_grid(shape, upsampling)
    wanted = min(2 * n_samples / fine, MAX_PARTS / n_coils)
    return 2 ** int(math.log2(max(wanted, 1)))


def _fine_grid(shape: tuple[int, ...], upsampling: float) -> int:
    return math.prod(math.ceil(upsampling * n) for n in shape)


def _slot_bytes(
    n_samples: int, shape: tuple[int, ...], upsampling: float, parts: int, precision: np.dtype[Any]
) -> int:
    """Bytes while one coil is worked on: two fine grids and an image a part, two sorted orders."""
    grids = 2 * _fine_grid(shape, upsampling) + math.prod(shape)
    return parts * grids * precision.itemsize + 2 * 8 * n_samples


def _angles(
    k_per_m: Float64, shape: tuple[int, ...], voxel_size_m: tuple[float, ...]
) -> list[Float64]:
    """Positions in radians per voxel within [-pi, pi], one array an image axis."""
    k = np.asarray(k_per_m, np.float64)
    require(
        k.ndim == 2 and len(k) > 0 and k.shape[1] == len(shape) == len(voxel_size_m),
        f"k_per_m {k.shape}, shape {shape} and voxel_size_m {voxel_size_m} must have the same "
        "dimensions",
    )
    require(len(shape) in (2, 3), f"shape must be (y, x) or (z, y, x), got {shape}")
    require(min(shape) >= 1 and min(voxel_size_m) > 0, "shape and voxel_size_m must be positive")
    require(bool(np.isfinite(k).all()), "k_per_m must be finite")
    cycles = [k[:, axis] * voxel_size_m[axis] for axis in reversed(range(len(shape)))]
    return [2 * np.pi * (c - np.rint(c)) for c in cycles]


def _run(
    pool: ThreadPoolExecutor, calls: list[tuple[Callable[[int, _Lane], Any], int, _Lane]]
) -> list[Any]:
    return [done.result() for done in [pool.submit(f, coil, lane) for f, coil, lane in calls]]
