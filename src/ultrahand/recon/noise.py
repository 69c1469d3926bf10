"""Measure the noise of the receivers and whiten the data with it.

Whitened data have unit variance in the real and in the imaginary part of every channel, without
correlation, so that orthonormal reconstructions come out in SNR units (Kellman & McVeigh, Magn
Reson Med 2005;54:1439, doi:10.1002/mrm.20713).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from ultrahand.errors import InputError
from ultrahand.recon.lines import kept_samples
from ultrahand.records.findings import Finding, info, warning
from ultrahand.records.noise import Noise
from ultrahand.records.readouts import Kind, kinds_of, name_readout

if TYPE_CHECKING:
    from ultrahand.records.arrays import Complex64, Float64, Ints
    from ultrahand.records.raw import RawData

Complex128 = NDArray[np.complex128]

SAMPLES_PER_COIL = 10
"""Fewer noise samples than this per coil give a covariance that is itself mostly noise."""

MAX_WHITENING = 1e15
"""Weaker noise than its inverse is none: signals would overflow single precision."""


@dataclass(frozen=True, slots=True, eq=False)
class Whitener:
    """What makes the noise of some readouts white."""

    noise: Noise
    """At `dwell_s`."""
    matrix: Complex64
    """See `whitening_matrix`; shape ``(coils, coils)``."""
    dwell_s: float
    """Dwell time of the readouts it is for; 0 where the file has none."""

    def at(self, dwell_s: float) -> Complex64:
        """Return the matrix for another dwell time: the covariance goes with one over it."""
        if dwell_s == self.dwell_s:
            return self.matrix
        return self.matrix * np.float32(math.sqrt(dwell_s / self.dwell_s))

    @property
    def n_alive(self) -> int:
        """How many coils have noise; the others are switched off."""
        return int(self.matrix.any(axis=1).sum())


def measure_noise(
    raw: RawData, imaging: Ints, source: RawData
) -> tuple[Whitener | None, list[Finding]]:
    """Estimate the noise covariance of imaging data from noise readouts.

    The variance of a sample goes with the receiver bandwidth, that is with 1 / dwell time; noise
    readouts see the receiver's whole filter, of which ``relativeReceiverNoiseBandwidth`` is the
    equivalent fraction (Kellman & McVeigh 2005). So the covariance of the imaging data is that of
    the noise readouts times ``T_noise / T_imaging / bandwidth``.

    Parameters
    ----------
    raw
        The measurement to be whitened.
    imaging
        Rows of the imaging readouts of one encoding: all of the same channels.
    source
        The measurement that holds the noise readouts; may be `raw` itself. Those of as many
        channels are used, each scaled by its own dwell time.

    Returns
    -------
    Whitener or None
        None where there are no noise readouts, or they hold only zeros.

    Raises
    ------
    InputError
        Coils that do not match, too few samples, a covariance that is singular, dwell times that
        cannot be compared.
    """
    rows = np.flatnonzero(kinds_of(source.readouts["flags"]) == Kind.NOISE)
    if not rows.size:
        return None, [
            warning(
                "noise readouts",
                found="none",
                expected="a noise scan (flag 19)",
                remedy="no whitening and no standard errors; give one with --noise FILE",
            )
        ]
    coils = int(raw.readouts["active_channels"][imaging[0]])
    mine, findings = _of_the_same_coils(source, rows, coils)
    dwell_s = float(raw.readouts["sample_time_s"][imaging[0]])
    _check_dwell(source.readouts["sample_time_s"][mine], raw.readouts["sample_time_s"][imaging])
    order, more = _coil_order(raw, source, coils)
    findings += more
    samples, more = _noise_samples(source, mine, coils, order)
    findings += more
    if not samples.values.any():
        return None, [
            *findings,
            warning(
                "noise readouts",
                found=f"{len(mine)} readouts of zeros",
                expected="noise",
                remedy="no whitening and no standard errors",
            ),
        ]
    count = samples.values.shape[1]
    if count < SAMPLES_PER_COIL * coils:
        raise InputError(
            "noise readouts",
            found=f"{count} samples for {coils} coils",
            expected=f"at least {SAMPLES_PER_COIL * coils}",
            remedy="measure more noise, or run with --noise none",
        )
    bandwidth = raw.header.relative_noise_bandwidth or 1.0
    scales = (samples.dwell_s / dwell_s if dwell_s > 0 else np.ones(count)) / bandwidth
    values = samples.values * np.sqrt(scales)
    noise = Noise(
        covariance=values @ values.conj().T / count,
        n_samples=count,
        scale=float(scales.mean()),
        origin=f"{len(mine)} noise readouts, {count} samples",
    )
    findings += [_how_scaled(raw, imaging, samples.dwell_s, noise.scale)]
    whitener = Whitener(noise, whitening_matrix(noise), dwell_s)
    dead = coils - whitener.n_alive
    if dead:
        findings.append(
            warning(
                "noise readouts",
                found=f"{dead} channels without noise",
                expected="noise in every channel",
                remedy="these channels are left out",
            )
        )
    return whitener, findings


def whitening_matrix(noise: Noise) -> Complex64:
    """Return ``W``, shape ``(coils, coils)``, with ``W C W^H = 2`` (unit real and imaginary parts).

    A coil without any noise is switched off (its row is zero).

    Raises
    ------
    InputError
        A covariance that is singular: two channels carry the same noise.
    """
    covariance = noise.covariance
    power = np.diag(covariance).real
    alive = np.flatnonzero(power > 0)
    sd = np.sqrt(power[alive])
    correlation = covariance[np.ix_(alive, alive)] / np.outer(sd, sd)
    smallest = float(np.linalg.eigvalsh(correlation)[0])
    if smallest < 1e-6:
        raise InputError(
            "noise covariance",
            found=f"smallest eigenvalue of the correlation {smallest:.1e}",
            expected="a positive definite matrix",
            remedy="two channels carry the same noise; run with --noise none or repair the file",
        )
    lower = np.linalg.cholesky(correlation)
    inverse = scipy.linalg.solve_triangular(lower, np.eye(len(alive)), lower=True) / sd
    whitening = np.zeros_like(covariance)
    whitening[np.ix_(alive, alive)] = np.sqrt(2.0) * inverse
    if not np.abs(whitening).max(initial=0) < MAX_WHITENING:
        raise InputError(
            "noise covariance",
            found=f"a standard deviation of {sd.min():.1e}",
            expected=f"more than {1 / MAX_WHITENING:.0e}",
            remedy="the noise scan cannot be right; run with --noise none",
        )
    return whitening.astype(np.complex64)


@dataclass(frozen=True, slots=True, eq=False)
class _Samples:
    """Noise samples of all readouts, one after the other."""

    values: Complex128
    """Shape ``(coils, samples)``, in the order of the imaging coils."""
    dwell_s: Float64
    """Shape ``(samples,)``."""


def _of_the_same_coils(source: RawData, rows: Ints, coils: int) -> tuple[Ints, list[Finding]]:
    """Choose the noise readouts of as many channels as the imaging readouts have."""
    channels = source.readouts["active_channels"][rows]
    mine = rows[channels == coils]
    if not mine.size:
        raise InputError(
            f"noise {name_readout(source.readouts, int(rows[0]))}, active_channels",
            found=str(int(channels[0])),
            expected=f"{coils} as the imaging readouts",
            remedy="use the noise scan of the same coils, or run with --noise none",
        )
    if len(mine) == len(rows):
        return mine, []
    others = ", ".join(str(n) for n in np.unique(channels[channels != coils]))
    return mine, [
        info(
            "noise readouts",
            found=f"{len(mine)} of {coils} channels, {len(rows) - len(mine)} of {others}",
            expected="the channels of the imaging readouts",
            remedy=f"those of {coils} channels are used",
        )
    ]


def _noise_samples(
    source: RawData, rows: Ints, coils: int, order: Ints | None
) -> tuple[_Samples, list[Finding]]:
    """Read all finite noise samples."""
    parts, times = [], []
    for mine, keep in kept_samples(source.readouts, rows):
        block = source.source.samples(mine)[:, :, keep]
        parts.append(block.reshape(coils, -1))
        times.append(np.repeat(source.readouts["sample_time_s"][mine], block.shape[2]))
    samples = np.concatenate(parts, axis=1).astype(np.complex128)
    finite = np.isfinite(samples).all(axis=0)
    findings = []
    if not finite.any():
        raise InputError(
            "noise readouts",
            found="NaN or infinity in every sample",
            expected="finite noise",
            remedy="run with --noise none or repair the file",
        )
    if not finite.all():
        findings.append(
            warning(
                "noise readouts",
                found=f"NaN or infinity in {int((~finite).sum())} of {finite.size} samples",
                expected="finite noise",
                remedy="these samples are left out",
            )
        )
    samples = samples[:, finite]
    dwell = np.concatenate(times)[finite]
    return _Samples(samples if order is None else samples[order], dwell), findings


def _coil_order(raw: RawData, source: RawData, coils: int) -> tuple[Ints | None, list[Finding]]:
    """Match the coils of a separate noise scan by their labels, where each has one."""
    wanted, have = raw.header.coil_labels, source.header.coil_labels
    if source is raw or not wanted or not have or wanted == have:
        return None, []
    if len(wanted) != coils or len(have) != coils:
        return None, [
            warning(
                "coilLabel of the noise file",
                found=f"{len(have)} labels in another order, {len(wanted)} in the measurement, for "
                f"{coils} channels",
                expected="one label a channel",
                remedy="channels are taken in the order of the file; check that it is the same",
            )
        ]
    if sorted(wanted) != sorted(have) or len(set(have)) != len(have):
        raise InputError(
            "coilLabel of the noise file",
            found=f"{len(have)} labels that are not those of the measurement",
            expected="the same coils",
            remedy="use the noise scan of the same coils, or run with --noise none",
        )
    return np.array([have.index(label) for label in wanted]), []


def _check_dwell(noise_s: Float64, imaging_s: Float64) -> None:
    """Refuse dwell times that give no ratio: a zero beside others."""
    zeros = {bool(t == 0) for t in (*noise_s, *imaging_s)}
    if len(zeros) > 1:
        raise InputError(
            "sample_time_us",
            found=f"noise {_in_us(noise_s)}, imaging {_in_us(imaging_s)}",
            expected="dwell times above 0 in both",
            remedy="run with --noise none or correct the dwell times",
        )


def _how_scaled(raw: RawData, imaging: Ints, noise_s: Float64, scale: float) -> Finding:
    imaging_s = raw.readouts["sample_time_s"][imaging]
    bandwidth = raw.header.relative_noise_bandwidth
    several = len(np.unique(imaging_s)) > 1
    said = f"{bandwidth:g}" if bandwidth else "1 (not in the header)"
    here = f" for {_in_us(imaging_s[:1])}, for others by one over the dwell time"
    return info(
        "noise scaling",
        found=f"dwell {_in_us(noise_s)} in noise, {_in_us(imaging_s)} in imaging readouts, "
        f"relative receiver noise bandwidth {said}",
        expected="the covariance of the imaging data",
        remedy=f"covariance times {scale:.4g}{here if several else ''}",
    )


def _in_us(times: Float64) -> str:
    return ", ".join(f"{t * 1e6:g} us" for t in np.unique(times)[:4])
