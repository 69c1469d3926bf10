"""BART, as its users call it: commands on files of complex64.

A numpy array (z, y, x) in C order is BART's (x, y, z); so axes are listed in reverse. The time of
a call holds starting the command and its files, which is how BART is used.
"""

from __future__ import annotations

import math
import os
import shutil
import subprocess
import threading
from pathlib import Path

import numpy as np

from ultrahand.bench.problem import AbsentError, Array, Call, Case

peak_bytes = [0]
"""The largest memory that any of the commands had."""
_EVERY_S = 0.02


def version(program: str = "bart") -> str:
    """Return what it calls itself; raise `AbsentError` where there is none."""
    if shutil.which(program) is None:
        raise AbsentError(f"the command {program} is not on the PATH")
    done = subprocess.run([program, "version"], capture_output=True, text=True, check=False)
    return done.stdout.strip().lstrip("v") or "unknown"


def radial_sense(case: Case) -> Call:
    """Toeplitz is its default; ten iterations without regularisation, unscaled."""
    version()
    k, y, maps, folder = case["k"], case["y"], case["maps"], case.folder
    n = maps.shape[-1]
    positions = np.concatenate([k[..., ::-1], np.zeros_like(k[..., :1])], axis=-1)
    write_cfl(folder / "traj", positions)
    write_cfl(folder / "sense_y", y[..., None])
    write_cfl(folder / "maps", maps[:, None])
    command = ["pics", "-S", "-w1", "-l2", "-r0", "-i10", "-t", "traj", "sense_y", "maps", "sense"]

    def call() -> Array:
        bart(command, folder)
        return read_cfl(folder / "sense", (n, n))

    return call


def coil_maps(case: Case) -> Call:
    """One set of maps, not cropped."""
    version()
    kspace, folder = case["kspace"], case.folder
    write_cfl(folder / "kspace", kspace[:, None])
    command = ["ecalib", "-m1", f"-r{int(case['lines'])}", "-c0", "kspace", "found"]

    def call() -> Array:
        bart(command, folder)
        return read_cfl(folder / "found", kspace.shape)

    return call


def sodium_file(case: Case) -> Call:
    """Read, whiten and weigh as all do; its adjoint and its combination as commands."""
    from ultrahand.bench.readouts import whitened_samples
    from ultrahand.bench.sodium_file import FILE
    from ultrahand.io.read_raw import read_raw

    version()
    k, weights, folder = case["k"], case["weights"], case.folder
    shape = tuple(case["shape"].tolist())
    write_cfl(folder / "traj", k[:, None, ::-1])
    size = ":".join(str(n) for n in reversed(shape))

    def call() -> Array:
        samples = whitened_samples(read_raw(folder / FILE)) * weights
        write_cfl(folder / "samples", samples[:, :, None, None])
        bart(["nufft", "-a", "-d", size, "traj", "samples", "images"], folder)
        bart(["rss", "8", "images", "image"], folder)
        return read_cfl(folder / "image", shape)

    return call


def wavelet_sense(case: Case) -> Call:
    """FISTA; its weight is the best of a sweep."""
    version()
    folder, maps = case.folder, case["maps"]
    write_cfl(folder / "kspace", case["kspace"])
    write_cfl(folder / "maps", maps)
    options = ["-S", "-l1", "--wavelet", "haar", "-r0.002", "-i30"]

    def call() -> Array:
        bart(["pics", *options, "kspace", "maps", "found"], folder)
        return read_cfl(folder / "found", maps.shape[1:])

    return call


def dynamics(case: Case) -> Call:
    """ADMM on all frames, which are BART's dimension 10; its weight is the best of a sweep."""
    version()
    k, y, maps, folder = case["k"], case["samples"], case["maps"], case.folder
    frames, spokes, samples = k.shape[:3]
    positions = np.concatenate([k[..., ::-1], np.zeros_like(k[..., :1])], axis=-1)
    write_cfl(folder / "traj", positions.reshape(frames, *(1,) * 7, spokes, samples, 3))
    write_cfl(folder / "y", y.reshape(frames, *(1,) * 6, len(maps), spokes, samples, 1))
    write_cfl(folder / "maps", maps[:, None])
    options = ["-S", "-R", "T:1024:0:0.003", "-u", "0.1", "-i", "30", "-t", "traj"]

    def call() -> Array:
        bart(["pics", *options, "y", "maps", "found"], folder)
        return read_cfl(folder / "found", (frames, *maps.shape[1:]))

    return call


def bart(command: list[str], folder: Path) -> None:
    """Run one command and keep its peak of memory; what fails raises with its words."""
    with subprocess.Popen(
        ["bart", *command], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        ended = threading.Event()
        watcher = threading.Thread(target=_watch, args=(process.pid, ended))
        watcher.start()
        words, _ = process.communicate()
        ended.set()
        watcher.join()
    if process.returncode:
        raise RuntimeError(f"bart {command[0]} ended with {process.returncode}: {words[-300:]}")


def _watch(number: int, ended: threading.Event) -> None:
    """Look at a process now and then: its own peak never falls, so the last look is enough.

    What the system counts for ended children includes what their parent had before it became them.
    """
    status = Path(f"/proc/{number}/status")
    while not ended.wait(_EVERY_S):
        try:
            peak_bytes[0] = max(peak_bytes[0], high_water(status))
        except OSError:
            return


def high_water(status: Path = Path("/proc/self/status")) -> int:
    """Return the peak of resident memory of a process, in bytes; 0 where it is not told."""
    if not os.path.isdir("/proc/self"):  # noqa: PTH112
        return 0
    for line in status.read_text().splitlines():
        if line.startswith("VmHWM:"):
            return 1024 * int(line.split()[1])
    return 0


def write_cfl(stem: Path, array: Array) -> None:
    """Write an array in C order, its axes in reverse."""
    shape = [*reversed(array.shape), *(1,) * (16 - array.ndim)]
    stem.with_suffix(".hdr").write_text("# Dimensions\n" + " ".join(map(str, shape)) + "\n")
    np.ascontiguousarray(array, np.complex64).tofile(stem.with_suffix(".cfl"))


def read_cfl(stem: Path, shape: tuple[int, ...]) -> Array:
    """Read an array that holds as many numbers as a shape."""
    flat = np.fromfile(stem.with_suffix(".cfl"), np.complex64)
    if flat.size != math.prod(shape):
        raise RuntimeError(f"{stem.name} holds {flat.size} numbers, expected {shape}")
    return flat.reshape(shape)
