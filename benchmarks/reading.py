"""Reading a raw file, beside the documented loop over ``Dataset.read_acquisition``.

513 readouts of 16 channels and 256 samples, one HDF5 chunk a readout, as the ismrmrd library and
the vendors' converters write them.
"""

import tempfile
import time
from pathlib import Path

import h5py
import ismrmrd
import numpy as np
from ismrmrd.hdf5 import acquisition_dtype

from benchmarks.measure import best_of
from ultrahand.io.read_raw import read_raw
from ultrahand.io.write_ismrmrd import write_hdf5
from ultrahand.phantoms import CartesianScan, five_fingers, simulate, smooth_coils

FOV = (0.2, 0.2, 0.005)
GOAL = 30


def make(path):
    """Write the file with one chunk a readout."""
    scan = CartesianScan(matrix=(256, 513, 1), fov_m=FOV, dimension=2)
    raw = simulate(five_fingers(FOV), smooth_coils(16, FOV), scan, np.random.default_rng(0))
    whole = path.with_suffix(".whole.h5")
    write_hdf5(raw, whole)
    with h5py.File(whole) as source, h5py.File(path, "w") as target:
        group = target.create_group("dataset")
        source.copy("dataset/xml", group)
        rows = source["dataset/data"][:]
        stored = group.create_dataset(
            "data", shape=(len(rows),), maxshape=(None,), chunks=(1,), dtype=acquisition_dtype
        )
        stored[:] = rows


def ours(path):
    raw = read_raw(path)
    return raw.source.samples(np.arange(len(raw.readouts)))


def documented_loop(path):
    dataset = ismrmrd.Dataset(path, "dataset", create_if_needed=False)
    data = [dataset.read_acquisition(i).data for i in range(dataset.number_of_acquisitions())]
    dataset.close()
    return np.stack(data, axis=1)


def run():
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "raw.h5"
        make(path)
        same = np.array_equal(ours(path), documented_loop(path))
        seconds = best_of(lambda: ours(path))
        start = time.perf_counter()
        documented_loop(path)
        loop = time.perf_counter() - start
        size = path.stat().st_size / 1e6
    print(f"ultrahand\t{seconds:.3f} s\t{size / seconds:.0f} MB/s")
    print(f"ismrmrd loop\t{loop:.3f} s\t{size / loop:.0f} MB/s")
    yield "the same samples", str(same), same
    ratio = loop / seconds
    yield f"reading >= {GOAL} times faster than the loop", f"{ratio:.0f} times", ratio >= GOAL
