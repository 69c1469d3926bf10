"""Frozen records: what the data are, checked once on entry, arrays read-only, SI units."""

from ultrahand.records.findings import Finding, Level
from ultrahand.records.geometry import Geometry
from ultrahand.records.header import Encoding, EncodingSpace, Header, Limit
from ultrahand.records.image import Image
from ultrahand.records.noise import Noise
from ultrahand.records.provenance import Provenance
from ultrahand.records.quantity import QuantityMap
from ultrahand.records.raw import ArraySource, RawData, SampleSource
from ultrahand.records.readouts import READOUT_DTYPE, Kind, kinds_of
from ultrahand.records.trajectory import Trajectory

__all__ = [
    "READOUT_DTYPE",
    "ArraySource",
    "Encoding",
    "EncodingSpace",
    "Finding",
    "Geometry",
    "Header",
    "Image",
    "Kind",
    "Level",
    "Limit",
    "Noise",
    "Provenance",
    "QuantityMap",
    "RawData",
    "SampleSource",
    "Trajectory",
    "kinds_of",
]
