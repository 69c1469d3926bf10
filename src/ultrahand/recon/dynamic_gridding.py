"""One image a frame by gridding: what needs no prior, and what the others are judged by."""

from __future__ import annotations

import numpy as np

from ultrahand.recon.density import density_weights
from ultrahand.recon.dynamic_data import DynamicData, coil_sum, data_weights
from ultrahand.recon.dynamic_frames import Frames
from ultrahand.recon.dynamic_sharing import SharedFrames
from ultrahand.records.arrays import Bools, Complex64, Float64, Ints, require


def grid_frames(
    data: DynamicData, frames: Frames | SharedFrames, *, threads: int = 1
) -> tuple[Complex64, Float64]:
    """Grid every frame and combine its coils.

    ``sum_c conj(S_c) F^H w y_c / sum_c |S_c|^2`` with the density weights of the frame's own
    samples. What the spokes leave out is missing: it shows as streaks, and as blur of what is fine.

    Parameters
    ----------
    data
        The acquisition.
    frames
        How it is cut; shared frames take in each ring the samples of its own spokes.
    threads
        Cores; the result is the same for any number.

    Returns
    -------
    ndarray, ndarray
        Images ``(frames, z, y, x)``, 0 where no coil sees anything; and the standard deviation of
        the noise of a voxel's real part where ``sum_c |S_c|^2`` is 1, ``(frames,)``:
        ``sqrt(sum w^2 / voxels)``. Frames that share spokes share noise.
    """
    power = (data.maps.real**2 + data.maps.imag**2).sum(axis=0)
    inverse = np.divide(1, power, out=np.zeros_like(power), where=power > 0)
    counted = data.counted() > 0
    total = len(frames.spokes)
    images = np.empty((total, *data.shape), np.complex64)
    noise = np.empty(total)
    for number in range(total):
        spokes, used = _members(frames, number, data)
        used &= counted[spokes]
        require(bool(used.any()), f"frame {number} has no sample within the matrix")
        density = density_weights(
            data.k_per_m[spokes][used],
            shape=data.shape[1:],
            voxel_size_m=data.voxel_size_m,
            threads=threads,
        ).weights
        weights = np.zeros((1, *used.shape), np.float32)
        weights[0, used] = density
        images[number] = coil_sum(data, spokes, weights, threads=threads)[0] * inverse
        noise[number] = np.sqrt(np.sum(density.astype(np.float64) ** 2) / power[0].size)
    return images, noise


def grid_everything(data: DynamicData, *, threads: int = 1) -> Complex64:
    """Grid all spokes of the acquisition into one image, ``(z, y, x)``: its mean over time.

    Weights are `dynamic_data.spoke_areas`, which take no time; spokes are taken to be turned
    evenly.
    """
    spokes = np.arange(len(data.time_s))
    weights = data_weights(data, len(spokes), 1.0)[None]
    power = (data.maps.real**2 + data.maps.imag**2).sum(axis=0)
    inverse = np.divide(1, power, out=np.zeros_like(power), where=power > 0)
    return coil_sum(data, spokes, weights, threads=threads)[0] * inverse


def _members(frames: Frames | SharedFrames, number: int, data: DynamicData) -> tuple[Ints, Bools]:
    if isinstance(frames, SharedFrames):
        return frames.members(number), frames.used(number, data.k_per_m)
    spokes = frames.spokes[number]
    return spokes, np.ones((len(spokes), data.k_per_m.shape[1]), np.bool_)
