"""The non-uniform transform in double precision, by FINUFFT: the only file that imports it.

FINUFFT does not promise the same bits from threads: its adjoint adds in the order in which they
finish. So each call runs on one thread, and coils run beside each other.

Barnett, Magland, af Klinteberg: SIAM J Sci Comput 2019;41(5):C479, doi:10.1137/18M120885X.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from threading import Lock
from typing import Any, Final, Literal, final

import numpy as np

from ultrahand.recon.batch import as_batch
from ultrahand.records.arrays import Complex, Complex128, Float64

UPSAMPLING: Final = 2.0


@final
class _Slot:
    """FINUFFT's plans; a slot does one transform at a time.

    A direction is planned when it is first wanted: sorting the samples takes as long as a
    transform, and most reconstructions need one direction alone.
    """

    def __init__(self, plan: Callable[[Literal[1, 2]], Any]) -> None:
        self._plan = plan

    @cached_property
    def type1(self) -> Any:  # noqa: ANN401 - finufft is untyped
        return self._plan(1)

    @cached_property
    def type2(self) -> Any:  # noqa: ANN401
        return self._plan(2)


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class DoubleNufft:
    """Made by `plan_double`; meets `ultrahand.recon.nufft.Nufft`."""

    shape: tuple[int, ...]
    n_samples: int
    eps: float
    slots: tuple[_Slot, ...]
    lock: Lock = field(default_factory=Lock)

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(np.complex128)

    @property
    def domain(self) -> tuple[int, ...]:
        return self.shape

    @property
    def codomain(self) -> tuple[int, ...]:
        return (self.n_samples,)

    def forward(self, image: Complex, /) -> Complex128:
        """Transform ``(..., *shape)`` to ``(..., n_samples)``."""
        images, batch = as_batch(image, self.domain, self.dtype)
        out = np.empty((len(images), self.n_samples), self.dtype)

        def transform(slot: _Slot, coil: int) -> None:
            slot.type2.execute(images[coil] * self._scale, out=out[coil])

        self._run(transform, len(images))
        return out.reshape(*batch, self.n_samples)

    def adjoint(self, samples: Complex, /) -> Complex128:
        """Transform ``(..., n_samples)`` to ``(..., *shape)``."""
        series, batch = as_batch(samples, self.codomain, self.dtype)
        out = np.empty((len(series), *self.shape), self.dtype)
        self._run(lambda slot, coil: slot.type1.execute(series[coil], out=out[coil]), len(series))
        out *= self._scale
        return out.reshape(*batch, *self.shape)

    @property
    def _scale(self) -> float:
        return 1 / math.sqrt(math.prod(self.shape))

    def _run(self, transform: Callable[[_Slot, int], Any], n_coils: int) -> None:
        def work(number: int) -> None:
            for coil in range(number, n_coils, len(self.slots)):
                transform(self.slots[number], coil)

        with self.lock, ThreadPoolExecutor(len(self.slots)) as pool:
            list(pool.map(work, range(len(self.slots))))


def plan_double(cycles: Float64, shape: tuple[int, ...], *, eps: float, slots: int) -> DoubleNufft:
    """Plan a transform.

    Parameters
    ----------
    cycles
        Positions in cycles per voxel, ``(samples, dims)``, along read, phase, slice.
    shape
        Voxels ``(z, y, x)`` or ``(y, x)``.
    eps
        Relative l2 error.
    slots
        Coils at a time.
    """
    angles = [2 * np.pi * cycles[:, axis] for axis in reversed(range(len(shape)))]

    def plan(kind: Literal[1, 2]) -> Any:  # noqa: ANN401 - finufft is untyped
        import finufft

        sign = 1 if kind == 1 else -1
        options = {"dtype": "complex128", "nthreads": 1, "upsampfac": UPSAMPLING}
        made = finufft.Plan(kind, shape, eps=eps, isign=sign, **options)
        made.setpts(*angles)
        return made

    return DoubleNufft(
        shape=shape,
        n_samples=len(cycles),
        eps=eps,
        slots=tuple(_Slot(plan) for _ in range(slots)),
    )


def double_bytes(n_samples: int, shape: tuple[int, ...], _eps: float) -> tuple[int, int]:
    """Return the bytes of positions, and of each coil: two fine grids, an image, two orders."""
    fine = math.prod(math.ceil(UPSAMPLING * n) for n in shape)
    return 24 * n_samples, 16 * (2 * fine + math.prod(shape)) + 2 * 8 * n_samples


def plan_modes(angles: Float64, modes: tuple[int, ...], eps: float) -> Callable[[Complex], Complex]:
    r"""Plan ``sum_j c_j exp(-i n . angle_j)`` for the whole n about 0, on one thread.

    Parameters
    ----------
    angles
        Radians within [-pi, pi], shape ``(dims, points)``.
    modes
        Number of n along each axis: from ``-(N // 2)`` on.
    eps
        Relative l2 error, at least 1e-13.

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
