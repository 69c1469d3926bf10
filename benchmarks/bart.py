"""Run BART (https://mrirecon.github.io/bart) on arrays, where it is installed."""

import shutil
import subprocess

import numpy as np


def installed():
    return shutil.which("bart") is not None


def write(path, array):
    """Write an array as BART reads it: its last axis is BART's first."""
    array = np.ascontiguousarray(array, np.complex64)
    sizes = [*array.shape[::-1], *[1] * (16 - array.ndim)]
    path.with_suffix(".hdr").write_text("# Dimensions\n" + " ".join(map(str, sizes)) + "\n")
    array.tofile(path.with_suffix(".cfl"))


def read(path, shape):
    return np.fromfile(path.with_suffix(".cfl"), np.complex64).reshape(shape)


def run(arguments, folder):
    command = ["bart", *map(str, arguments)]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
