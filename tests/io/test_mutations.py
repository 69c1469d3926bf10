"""Thousands of damaged files, read in children: none may end in an exception of Python's own."""

import h5py
import pytest

from damage import cartesian, radial, stream_bytes, write
from mutations import ends

# HDF5's own parsing of its structures may still crash; the command's supervisor explains that.
CRASHES = {"signal SIGSEGV", "signal SIGABRT", "signal SIGBUS", "signal SIGFPE"}
MUTANTS = 2000


def hdf5(folder, make, version="earliest", **options):
    path = folder / "base.h5"
    h5py.File(path, "w", libver=version).close()
    return write(path, make(4, 8), **options).read_bytes()


def small(lines, samples):
    return cartesian(lines=lines, samples=samples, n_noise=2)


PACKED = {"chunks": (3,), "compression": "gzip", "shuffle": True}
FILES = {
    "hdf5": lambda folder: hdf5(folder, small),
    "hdf5 with trajectories": lambda folder: hdf5(folder, radial),
    "hdf5 of the latest version": lambda folder: hdf5(folder, small, "latest"),
    "hdf5 packed": lambda folder: hdf5(
        folder, small, chunks=(3,), compression="gzip", shuffle=True
    ),
    "stream": lambda _: stream_bytes(small(4, 8)),
    "stream with trajectories": lambda _: stream_bytes(radial(4, 8)),
}


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", FILES)
def test_a_damaged_file_is_read_or_refused(name, tmp_path, rng):
    counted, _ = ends(FILES[name](tmp_path), tmp_path / "mutant", MUTANTS, rng)
    allowed = {"fine", "refused"} | (CRASHES if "hdf5" in name else set())
    defects = {end: count for end, count in counted.items() if end not in allowed}
    assert not defects
    assert min(counted["fine"], counted["refused"]) > MUTANTS / 10  # else nothing was tried
