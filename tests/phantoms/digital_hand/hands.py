"""Hands that several tests look at, made once."""

from functools import cache

import numpy as np

from ultrahand.phantoms.digital_hand.fields import make_fields
from ultrahand.phantoms.digital_hand.protocol import PROTOCOLS
from ultrahand.phantoms.digital_hand.setting import Setting
from ultrahand.phantoms.digital_hand.subject import make_subject
from ultrahand.physics.tissues import tissue


@cache
def subject(seed=1, preset="healthy", sides="right", script=None):
    return make_subject(seed, preset, sides, script)


@cache
def setting(seed=1, preset="healthy", sides="right", size="tiny", threads=2):
    one = subject(seed, preset, sides)
    return Setting(
        subject=one,
        fields=make_fields(one, np.random.default_rng([seed, 3])),
        protocol=PROTOCOLS[size],
        seed=seed,
        threads=threads,
    )


def series_of(protocol, name):
    """Return a series and its number."""
    return next((s, n) for n, s in enumerate(protocol.series) if s.name == name)


def sodium(solids):
    """Return each solid's concentration in mmol/L: its own, else its tissue's."""
    return np.array(
        [
            tissue(s.tissue).sodium.concentration_mmol_per_l
            if s.concentration_mmol_per_l is None
            else s.concentration_mmol_per_l
            for s in solids
        ]
    )


def protons(solids):
    return np.array([tissue(s.tissue).proton.proton_density for s in solids])


def plain(name):
    """Return a solid's name without its hand's prefix."""
    return name[2:] if name[:2] in ("l_", "r_") else name
