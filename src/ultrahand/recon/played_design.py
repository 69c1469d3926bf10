r"""Played gradients of a designed trajectory: many shots that are few waveforms, turned.

The coils are linear, so that the response to a turned waveform is the turned sum of the responses
to its three components, each played on each coil alone: nine for each waveform of the design,
however many shots there are.
"""

from __future__ import annotations

from math import pi

import numpy as np

from ultrahand.physics.off_resonance import PHASE_SIGN
from ultrahand.recon.girf import Girf, PlayedGradients, differences
from ultrahand.recon.trajectories.design import Design
from ultrahand.recon.trajectories.prescription import RASTER_S
from ultrahand.records.arrays import Float64, require


def played_design(
    girf: Girf, design: Design, to_device: Float64, shots: slice = slice(None)
) -> PlayedGradients:
    """Return where the shots of a design are really taken.

    Parameters
    ----------
    girf
        The responses of the coils.
    design
        Gradients along read, phase and slice.
    to_device
        From `ultrahand.recon.device_axes.logical_to_device`.
    shots
        Which of them, all where not given.

    Raises
    ------
    ultrahand.errors.RecordError
        If `to_device` is not orthonormal.
    """
    require(
        to_device.shape == (3, 3)
        and bool(np.allclose(to_device @ to_device.T, np.eye(3), atol=1e-3)),
        "to_device must be orthonormal",
    )
    waves = design.pattern_gradient_t_per_m
    n_patterns, n_nodes, _ = waves.shape
    # Row (pattern, component, coil): that component of the waveform, on that coil alone.
    alone = np.einsum("pnc,ji->pcjni", waves, np.eye(3)).reshape(-1, n_nodes, 3)
    moved, uniform = differences(girf, alone, RASTER_S, design.time_s)
    moved = moved.reshape(n_patterns, 3, 3, -1, 3)
    uniform = uniform.reshape(n_patterns, 3, 3, -1)
    on_coils = to_device @ design.frames[shots]
    pattern = design.pattern[shots]
    k = np.array(design.k_per_m(shots))
    phase = np.empty(k.shape[:2])
    gamma = design.prescription.gamma_hz_per_t
    for number in np.unique(pattern):
        mine = np.flatnonzero(pattern == number)
        turned = on_coils[mine]
        k[mine] += gamma * np.einsum("sjc,cjti->sti", turned, moved[number]) @ to_device
        turns = gamma * np.einsum("sjc,cjt->st", turned, uniform[number])
        phase[mine] = PHASE_SIGN * 2.0 * pi * turns
    return PlayedGradients(k_per_m=k, phase_rad=phase)
