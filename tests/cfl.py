"""BART's file pair: a text header of dimensions and complex64, first dimension fastest."""

import subprocess

import numpy as np


def write_cfl(stem, array):
    """Write an array whose first axis is BART's first dimension."""
    shape = list(array.shape) + [1] * (16 - array.ndim)
    stem.with_suffix(".hdr").write_text("# Dimensions\n" + " ".join(map(str, shape)) + "\n")
    np.asarray(array, np.complex64).ravel(order="F").tofile(stem.with_suffix(".cfl"))


def read_cfl(stem):
    shape = [int(n) for n in stem.with_suffix(".hdr").read_text().splitlines()[1].split()]
    flat = np.fromfile(stem.with_suffix(".cfl"), np.complex64)
    return flat.reshape(shape, order="F").squeeze()


def bart(program, folder, command, **inputs):
    """Run one BART command on named arrays; the result is called ``out``."""
    for name, array in inputs.items():
        write_cfl(folder / name, array)
    subprocess.run([program, *command, "out"], cwd=folder, check=True, capture_output=True)
    return read_cfl(folder / "out")
