"""Whitened samples of a raw file by the definition, for references and peers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from ultrahand.bench.problem import Array

if TYPE_CHECKING:
    from ultrahand.records.raw import RawData


def whitened_samples(raw: RawData) -> Array:
    r"""Return the imaging samples with noise of variance 1 in each part, ``(coils, samples)``.

    With the covariance of the noise readouts scaled to the bandwidth of the imaging samples and
    :math:`C = L L^H`, the samples times :math:`\sqrt 2 L^{-1}`.
    """
    from ultrahand.records.readouts import Kind, kinds_of

    table = raw.readouts
    kinds = kinds_of(table["flags"])
    noise, imaging = (np.flatnonzero(kinds == kind) for kind in (Kind.NOISE, Kind.IMAGING))
    white = raw.source.samples(noise).astype(np.complex128)
    flat = white.reshape(len(white), -1)
    dwell = table["sample_time_s"]
    scale = float(dwell[noise[0]] / dwell[imaging[0]]) / (
        raw.header.relative_noise_bandwidth or 1.0
    )
    covariance = (flat @ flat.conj().T) / flat.shape[1] * scale
    whiten = math.sqrt(2) * np.linalg.inv(np.linalg.cholesky(covariance))
    measured = raw.source.samples(imaging)
    found: Array = whiten.astype(np.complex64) @ measured.reshape(len(measured), -1)
    return found
