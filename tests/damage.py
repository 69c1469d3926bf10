"""Small ISMRMRD files, sound and damaged, built with h5py and the types of the ismrmrd package."""

import struct
from dataclasses import dataclass, field

import h5py
import numpy as np
from ismrmrd.hdf5 import acquisition_dtype

HEAD = acquisition_dtype["head"]
NOISE, REVERSE, DUMMY = 1 << 18, 1 << 21, 1 << 26
N_NOISE = 8

XML = """<?xml version="1.0" encoding="UTF-8"?>
<ismrmrdHeader xmlns="http://www.ismrm.org/ISMRMRD">
  <acquisitionSystemInformation>
    <systemFieldStrength_T>7</systemFieldStrength_T>
  </acquisitionSystemInformation>
  <experimentalConditions>
    <H1resonanceFrequency_Hz>298060000</H1resonanceFrequency_Hz>
  </experimentalConditions>
  <encoding>
    <encodedSpace>
      <matrixSize><x>16</x><y>24</y><z>1</z></matrixSize>
      <fieldOfView_mm><x>160</x><y>120</y><z>5</z></fieldOfView_mm>
    </encodedSpace>
    <reconSpace>
      <matrixSize><x>16</x><y>24</y><z>1</z></matrixSize>
      <fieldOfView_mm><x>160</x><y>120</y><z>5</z></fieldOfView_mm>
    </reconSpace>
    <encodingLimits>
      <kspace_encoding_step_1>
        <minimum>0</minimum><maximum>23</maximum><center>12</center>
      </kspace_encoding_step_1>
      <repetition><minimum>0</minimum><maximum>0</maximum><center>0</center></repetition>
    </encodingLimits>
    <trajectory>cartesian</trajectory>
  </encoding>
  <sequenceParameters><TR>20</TR><TE>4</TE><flipAngle_deg>15</flipAngle_deg></sequenceParameters>
</ismrmrdHeader>
"""


@dataclass
class Scan:
    """What goes into a file: change any of it, then write."""

    heads: np.ndarray
    data: list = field(default_factory=list)
    traj: list = field(default_factory=list)
    xml: str | bytes = XML

    @property
    def imaging(self):
        """Indices of the imaging readouts."""
        return np.flatnonzero(self.heads["flags"] & NOISE == 0)

    def rows(self):
        rows = np.zeros(len(self.heads), acquisition_dtype)
        rows["head"] = self.heads
        for i, (data, traj) in enumerate(zip(self.data, self.traj, strict=True)):
            rows["data"][i] = np.asarray(data, np.float32)
            rows["traj"][i] = np.asarray(traj, np.float32)
        return rows

    def replace(self, old, new):
        """Change the header; the text to be changed must be there, once."""
        assert self.xml.count(old) == 1, old
        self.xml = self.xml.replace(old, new)
        return self


def cartesian(lines=24, samples=16, coils=2, n_noise=N_NOISE):
    """A smooth object, sampled once, after a noise scan; nothing is odd in it."""
    rng = np.random.default_rng(20260711)
    n = n_noise + lines
    heads = np.zeros(n, HEAD)
    heads["version"] = 1
    heads["scan_counter"] = np.arange(1, n + 1)
    heads["acquisition_time_stamp"] = 1000 + 20 * np.arange(n)
    heads["number_of_samples"] = samples
    heads["available_channels"] = heads["active_channels"] = coils
    heads["center_sample"] = samples // 2
    heads["sample_time_us"] = 5
    heads["read_dir"], heads["phase_dir"], heads["slice_dir"] = np.eye(3)
    heads["flags"][:n_noise] = NOISE
    heads["idx"]["kspace_encode_step_1"][n_noise:] = np.arange(lines)
    noise = rng.standard_normal((n, coils, samples, 2)).astype(np.float32)
    k = (np.arange(samples) - samples // 2) ** 2 + (np.arange(lines)[:, None] - lines // 2) ** 2
    signal = 300 * np.exp(-k / 8.0)
    noise[n_noise:, :, :, 0] += signal[:, None, :] * np.arange(1, coils + 1)[:, None]
    return Scan(heads, [part.ravel() for part in noise], [np.zeros(0, np.float32)] * n)


def radial(spokes=26, samples=16, scale=1.0):
    """Spokes whose positions are stored in cycles/FOV; ``scale`` puts them in another unit."""
    scan = cartesian(lines=spokes, samples=samples)
    angle = np.pi * np.arange(spokes) / spokes
    radius = (np.arange(samples) - samples // 2)[:, None] * scale
    for spoke, row in enumerate(scan.imaging):
        direction = np.array([np.cos(angle[spoke]), np.sin(angle[spoke])])
        scan.traj[row] = (radius * direction).ravel()
        scan.data[row] = np.zeros((2, samples, 2), np.float32)
        scan.data[row][:, :, 0] = 300 * np.exp(-(radius[:, 0] ** 2) / (8.0 * scale**2))
        scan.data[row] = scan.data[row].ravel()
    scan.heads["trajectory_dimensions"][scan.imaging] = 2
    scan.xml = (
        XML.replace("cartesian", "radial")
        .replace("<y>24</y>", "<y>16</y>")
        .replace("<y>120</y>", "<y>160</y>")
        .replace("<maximum>23</maximum><center>12</center>", "<maximum>25</maximum>")
    )
    return scan


def text_type(xml):
    """Return a type of variable length, but for bytes with NULs a fixed one: only it holds them."""
    fixed = len(xml) if isinstance(xml, bytes) and b"\0" in xml else None
    return h5py.string_dtype("ascii" if isinstance(xml, bytes) else "utf-8", fixed)


def write(path, scan, *, group="dataset", **options):
    """Write a scan as HDF5, as the ismrmrd package lays it out; options go to the data set."""
    options = {"maxshape": (None,), "chunks": (1,)} | options
    with h5py.File(path, "a") as file:
        place = file.create_group(group)
        place.create_dataset("xml", data=[scan.xml], dtype=text_type(scan.xml))
        place.create_dataset("data", data=scan.rows(), dtype=acquisition_dtype, **options)
    return path


def message(number, body=b""):
    return struct.pack("<H", number) + body


def stream_bytes(scan, *, close=True):
    """The same as an MRD v1 byte stream."""
    xml = scan.xml.encode() if isinstance(scan.xml, str) else scan.xml
    parts = [message(3, struct.pack("<I", len(xml)) + xml)]
    for head, traj, data in zip(scan.heads, scan.traj, scan.data, strict=True):
        body = head.tobytes() + np.float32(traj).tobytes() + np.float32(data).tobytes()
        parts.append(message(1008, body))
    return b"".join(parts) + (message(4) if close else b"")


def write_stream(path, scan, *, close=True):
    path.write_bytes(stream_bytes(scan, close=close))
    return path
