"""Sums of points over a uniform grid of k-space, interpolated at samples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product
from math import pi
from queue import SimpleQueue
from typing import final

import numpy as np

from ultrahand.kernels import interpolate_sums
from ultrahand.kernels import threads as on_threads
from ultrahand.phantoms.disk_points import width_of
from ultrahand.phantoms.kaiser_bessel import KaiserBessel
from ultrahand.phantoms.point_groups import Group, Points
from ultrahand.recon._finufft import plan_modes
from ultrahand.records.arrays import Complex, Complex64, Float32, Float64, Ints

GRID_BYTES = 1 << 29
"""Of the grids that stand side by side."""
OUTPUTS_AT_ONCE = 8
"""They share the kernel's weights at each sample."""

Plan = Callable[[Complex], Complex]


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Grids:
    """A number of grids that are made and read together: some functions of time of groups."""

    members: tuple[tuple[int, int], ...]
    """Group and function of each."""
    courses: Float32
    """Shape ``(shots, members)``."""
    basis: Complex64
    """Shape ``(times, members)``."""


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Samples:
    """Where samples lie in the grids' cells, and which functions hold for them."""

    places: Float64
    """Shape ``(samples, 3)``."""
    shot: Ints
    row: Ints
    carrier: Complex64
    """The phase of the points' middle at each sample, shape ``(samples,)``."""


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class PointSums:
    """A planned transform from points to samples, made by `plan_sums`."""

    groups: tuple[Group, ...]
    share: Float64
    """Of each point in its plate, over the kernel's transform at the point."""
    owner: Ints
    lanes: tuple[tuple[Plan, ...], ...]
    """A plan for each group, for each thread."""
    grids: tuple[Grids, ...]
    modes: tuple[int, ...]
    step_per_m: Float64
    """Of the cells."""
    middle_m: Float64
    """Of the points."""
    pieces: Float64

    def at(self, k_per_m: Float64, row: Ints) -> Samples:
        """Return samples at positions.

        Parameters
        ----------
        k_per_m
            Within what was planned for, shape ``(shots, samples, dims)``.
        row
            Which of the groups' times holds for each sample, shape ``(shots, samples)``.
        """
        n_shots, n_samples, dims = k_per_m.shape
        k = k_per_m.reshape(-1, dims)
        places = np.zeros((len(k), 3))
        places[:, 3 - dims :] = k / self.step_per_m + np.array(self.modes) // 2
        return Samples(
            places=places,
            shot=np.repeat(np.arange(n_shots), n_samples),
            row=row.reshape(-1),
            carrier=np.exp(-2j * pi * (k @ self.middle_m)).astype(np.complex64),
        )

    def add(self, factors: Complex, where: Samples, outputs: Sequence[Complex64]) -> None:
        """Add the sums, the points' strengths times each row of factors, to the outputs.

        Parameters
        ----------
        factors
            A row for each output, coil values for example, shape ``(outputs, points)``.
        where
            Of the samples.
        outputs
            Each of as many numbers as samples.
        """
        for grids in self.grids:
            fitting = GRID_BYTES // (8 * int(np.prod(self.modes)) * len(grids.members))
            at_once = max(1, min(fitting, OUTPUTS_AT_ONCE))
            for start in range(0, len(outputs), at_once):
                some = slice(start, start + at_once)
                made = self.make(grids, factors[some])
                for output, values in zip(
                    outputs[some], self.read(grids, made, where), strict=True
                ):
                    np.add(output, values.reshape(output.shape), out=output)

    def make(self, grids: Grids, factors: Complex | None) -> Complex64:
        """Return the grids of some outputs, ``(*modes, outputs, members)``; None is one of ones."""
        n_outputs = 1 if factors is None else len(factors)
        made = np.empty((*self.modes, n_outputs, len(grids.members)), np.complex64)
        free: SimpleQueue[tuple[Plan, ...]] = SimpleQueue()
        for lane in self.lanes:
            free.put(lane)

        def make(output: int, member: int) -> None:
            group, function = grids.members[member]
            points = self.groups[group].points
            strength = self.groups[group].carried[function, self.owner[points]]
            strength *= self.share[points]
            if factors is not None:
                strength *= factors[output, points]
            lane = free.get()
            try:
                made[..., output, member] = lane[group](strength)
            finally:
                free.put(lane)

        each = product(range(n_outputs), range(len(grids.members)))
        with ThreadPoolExecutor(len(self.lanes)) as pool:
            for job in [pool.submit(make, output, member) for output, member in each]:
                job.result()
        return made

    def level(self, made: Complex64, k_per_m: float) -> Complex64:
        """Interpolate grids of three axes at one position of the last: of one cell from then on."""
        place = k_per_m / self.step_per_m[2] + self.modes[2] // 2
        width = len(self.pieces)
        first = int(np.ceil(place - 0.5 * width))
        powers = (first + 0.5 * width - place - 0.5) ** np.arange(self.pieces.shape[1])
        weights = self.pieces @ powers * np.exp(-2j * pi * k_per_m * self.middle_m[2])
        near = made[:, :, first : first + width]
        return np.einsum("xyzom,z->xyom", near, weights.astype(np.complex64))[:, :, None]

    def read(self, grids: Grids, made: Complex64, where: Samples) -> Complex64:
        """Interpolate grids at samples and add them up, ``(outputs, samples)``."""
        cells, n_outputs = made.shape[:-2], made.shape[-2]
        side_by_side = made.reshape(*(1,) * (3 - len(cells)), *cells, -1)
        values = np.zeros((n_outputs, len(where.places)), np.complex64)
        with on_threads(len(self.lanes)):
            interpolate_sums(
                where.places,
                side_by_side.view(np.float32),
                self.pieces,
                where.shot,
                where.row,
                grids.courses,
                grids.basis,
                values,
            )
        values *= where.carrier
        return values


def plan_sums(
    at_m: Float64,
    points: Points,
    groups: Sequence[Group],
    farthest_per_m: Float64,
    courses: Float64,
    *,
    error: float,
    threads: int,
) -> PointSums:
    """Plan sums of points at samples.

    Parameters
    ----------
    at_m
        Positions of the points along the axes of k, shape ``(points, dims)``.
    points, groups
        What they carry.
    farthest_per_m
        Largest magnitude of k along each axis, shape ``(dims,)``, 2 or 3.
    courses
        By shot, shape ``(shots, columns)``.
    error
        Relative to the sum of the strengths' magnitudes.
    threads
        Cores to work on.
    """
    farthest = np.asarray(farthest_per_m, np.float64)
    middle = 0.5 * (at_m.min(axis=0) + at_m.max(axis=0))
    half = np.abs(at_m - middle).max(axis=0)
    # A point alone has no extent: no finer steps than a cell or two for all of k.
    step = 0.25 / np.maximum(half, 0.25 / np.maximum(farthest, 1e-3))
    kernel = KaiserBessel(width_of(0.5 * error))
    edge = np.ceil(farthest / step).astype(int) + kernel.width // 2 + 2
    modes = tuple(int(n) for n in 2 * edge + 1)
    angles = 2.0 * pi * step * (at_m - middle)
    peak = float(kernel.values(np.zeros(1))[0])
    apodisation = np.prod(kernel.transform(angles) / peak, axis=1)

    turns = [np.ascontiguousarray(angles[g.points].T) for g in groups]  # shared by the lanes

    def lane() -> tuple[Plan, ...]:
        return tuple(plan_modes(turn, modes, 0.5 * error) for turn in turns)

    members = [(g, f) for g, group in enumerate(groups) for f in range(len(group.carried))]
    most = max(1, GRID_BYTES // (8 * int(np.prod(modes))))
    some = [tuple(members[i : i + most]) for i in range(0, len(members), most)]
    return PointSums(
        groups=tuple(groups),
        share=points.share / apodisation,
        owner=points.owner,
        lanes=tuple(lane() for _ in range(max(1, threads))),
        grids=tuple(
            Grids(
                members=chosen,
                courses=np.stack([courses[:, groups[g].column] for g, _ in chosen], 1).astype("f4"),
                basis=np.stack([groups[g].functions[f] for g, f in chosen], 1).astype("c8"),
            )
            for chosen in some
        ),
        modes=modes,
        step_per_m=step,
        middle_m=middle,
        pieces=kernel.pieces(kernel.width + 3) / peak,
    )
