"""The problems by name. To add one: a file that holds it, and a line here."""

from __future__ import annotations

from typing import Final

from ultrahand.errors import UsageError

PROBLEMS: Final = {
    "normal-64": "ultrahand.bench.normal_operator",
    "normal-96": "ultrahand.bench.normal_operator",
    "forward-64": "ultrahand.bench.nufft",
    "adjoint-64": "ultrahand.bench.nufft",
    "forward-96": "ultrahand.bench.nufft",
    "adjoint-96": "ultrahand.bench.nufft",
    "cg-sense": "ultrahand.bench.radial_sense",
    "espirit": "ultrahand.bench.coil_maps",
    "grappa-2x2": "ultrahand.bench.parallel_imaging",
    "grappa-3x1": "ultrahand.bench.parallel_imaging",
    "wavelet-cs": "ultrahand.bench.wavelet_sense",
    "dynamics-tv": "ultrahand.bench.dynamics",
    "sodium": "ultrahand.bench.sodium_file",
}
"""Problem to module; the module's ``PROBLEMS`` holds it under the same name."""


PEERS: Final = ("finufft", "mri-nufft", "sigpy", "bart", "mrpro", "pygrappa")


def choose_peers(names: list[str] | None) -> tuple[str, ...]:
    """Return the peers that take part: all, or those named.

    Raises
    ------
    UsageError
        A name that is none.
    """
    for name in names or ():
        if name not in PEERS:
            raise UsageError(f"no peer is called {name!r}; there are: {', '.join(PEERS)}")
    return tuple(names or PEERS)


def choose(names: list[str]) -> list[str]:
    """Return the problems that some names mean: each itself, or all that begin with it.

    ``normal`` means ``normal-64`` and ``normal-96``. No name means all.

    Raises
    ------
    UsageError
        A name that is none.
    """
    chosen: dict[str, None] = {}
    for name in names or list(PROBLEMS):
        family = [p for p in PROBLEMS if p == name or p.startswith(f"{name}-")]
        if not family:
            raise UsageError(f"no problem is called {name!r}; there are: {', '.join(PROBLEMS)}")
        chosen.update(dict.fromkeys(family))
    return [name for name in PROBLEMS if name in chosen]
