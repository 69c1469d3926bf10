"""Measure the noise of the receivers and whiten the data with it.

Whitened data have unit variance in the real and in the imaginary part of every channel, without
correlation, so that orthonormal reconstructions come out in SNR units (Kellman & McVeigh, Magn
Reson Med 2005;54:1439, doi:10.1002/mrm.20713).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import scipy.linalg

from ultrahand.errors import InputError
from ultrahand.recon.lines import kept_samples
from ultrahand.records.findings import Finding, info, warning
from ultrahand.records.noise import Noise
from ultrahand.records.readouts import Kind, kinds_of, name_readout

if TYPE_CHECKING:
    from ultrahand.records.arrays import Complex64, Ints
    from ultrahand.records.raw import RawData

SAMPLES_PER_COIL = 10
"""Fewer noise samples than this per coil give a covariance that is itself mostly noise."""


MAX_WHITENING = 1e15
"""Weaker noise than its inverse is none: signals would overflow single precision."""


def measure_noise(
    raw: RawData, imaging: Ints, source: RawData
) -> tuple[Noise | None, list[Finding]]:
    """Estimate the noise covariance of the imaging data from noise readouts.

    The variance of a sample goes with the receiver bandwidth, that is with 1 / dwell time; noise
    readouts see the receiver's whole filter, of which ``relativeReceiverNoiseBandwidth`` is the
    equivalent fraction (Kellman & McVeigh 2005). So the covariance of the imaging data is that of
    the noise readouts times ``T_noise / T_imaging / bandwidth``.

    Parameters
    ----------
    raw
        The measurement to be whitened.
    imaging
        Rows of its imaging readouts.
    source
        The measurement that holds the noise readouts; may be `raw` itself.

    Returns
    -------
    Noise or None
        None where there are no noise readouts, or they hold only zeros.

    Raises
    ------
    InputError
        Coils that do not match, too few samples, dwell times that cannot be compared.
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
    samples, findings = _noise_samples(source, rows, coils, _coil_order(raw, source))
    if not samples.any():
        return None, [
            warning(
                "noise readouts",
                found=f"{len(rows)} readouts of zeros",
                expected="noise",
                remedy="no whitening and no standard errors",
            )
        ]
    if samples.shape[1] < SAMPLES_PER_COIL * coils:
        raise InputError(
            "noise readouts",
            found=f"{samples.shape[1]} samples for {coils} coils",
            expected=f"at least {SAMPLES_PER_COIL * coils}",
            remedy="measure more noise, or run with --noise none",
        )
    scale, note = _scale(raw, imaging, source, rows)
    covariance = samples @ samples.conj().T / samples.shape[1] * scale
    noise = Noise(
        covariance=covariance,
        n_samples=samples.shape[1],
        scale=scale,
        origin=f"{len(rows)} noise readouts, {samples.shape[1]} samples",
    )
    return noise, [*findings, note]


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


def _noise_samples(
    source: RawData, rows: Ints, coils: int, order: Ints | None
) -> tuple[np.ndarray[tuple[int, int], np.dtype[np.complex128]], list[Finding]]:
    """Read all noise samples, shape ``(coils, samples)``, in the order of the imaging coils."""
    channels = source.readouts["active_channels"][rows]
    if (channels != coils).any():
        row = int(rows[np.argmax(channels != coils)])
        raise InputError(
            f"noise {name_readout(source.readouts, row)}, active_channels",
            found=str(int(source.readouts["active_channels"][row])),
            expected=f"{coils} as the imaging readouts",
            remedy="use the noise scan of the same coils, or run with --noise none",
        )
    parts = []
    for mine, keep in kept_samples(source.readouts, rows):
        parts.append(source.source.samples(mine)[:, :, keep].reshape(coils, -1))
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
    return samples if order is None else samples[order], findings


def _coil_order(raw: RawData, source: RawData) -> Ints | None:
    """Match the coils of a separate noise scan by their labels."""
    wanted, have = raw.header.coil_labels, source.header.coil_labels
    if source is raw or not wanted or not have or wanted == have:
        return None
    if sorted(wanted) != sorted(have) or len(set(have)) != len(have):
        raise InputError(
            "coilLabel of the noise file",
            found=f"{len(have)} labels that are not those of the measurement",
            expected="the same coils",
            remedy="use the noise scan of the same coils, or run with --noise none",
        )
    return np.array([have.index(label) for label in wanted])


def _scale(raw: RawData, imaging: Ints, source: RawData, rows: Ints) -> tuple[float, Finding]:
    times = np.unique(source.readouts["sample_time_s"][rows])
    dwell = np.unique(raw.readouts["sample_time_s"][imaging])
    if len(times) > 1 or len(dwell) > 1 or (times[0] == 0) != (dwell[0] == 0):
        raise InputError(
            "sample_time_us",
            found=f"noise {_in_us(times)}, imaging {_in_us(dwell)}",
            expected="one dwell time each, both above 0",
            remedy="run with --noise none or correct the dwell times",
        )
    ratio = float(times[0] / dwell[0]) if dwell[0] > 0 else 1.0
    bandwidth = raw.header.relative_noise_bandwidth or 1.0
    scale = ratio / bandwidth
    return scale, info(
        "noise scaling",
        found=f"dwell {_in_us(times)} in noise, {_in_us(dwell)} in imaging readouts, relative "
        f"receiver noise bandwidth {bandwidth:g}"
        + ("" if raw.header.relative_noise_bandwidth else " (not in the header)"),
        expected="the covariance of the imaging data",
        remedy=f"covariance times {scale:.4g}",
    )


def _in_us(times: np.ndarray[tuple[int], np.dtype[np.float64]]) -> str:
    return ", ".join(f"{t * 1e6:g} us" for t in times[:4])
