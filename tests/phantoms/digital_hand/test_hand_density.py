"""How much there is of everything: totals at k = 0, nested solids, decay during a readout."""

from itertools import pairwise

import numpy as np
import pytest
from scipy.special import j1

from phantoms.digital_hand import hands, integrals
from ultrahand.phantoms import uniform_coil
from ultrahand.phantoms.digital_hand.fields import Fields
from ultrahand.phantoms.digital_hand.magnetisation import Sample, spoiled
from ultrahand.phantoms.digital_hand.solids import AIR, Solid, cut
from ultrahand.phantoms.digital_hand.stack import ellipsoid_mm, tube_mm
from ultrahand.phantoms.digital_hand.subject import Placement, Subject
from ultrahand.phantoms.direct_signal import direct_signal
from ultrahand.physics.tissues import tissue

CASES = [("ssc_severe", "left"), pytest.param("healthy", "right", marks=pytest.mark.long)]


def everything(t1_s, transmit):
    """Excite all that is there."""
    return np.ones(np.broadcast(t1_s, transmit).shape)


def sample_of(subject, fields, nucleus, k_max_per_m=125.0):
    return Sample(
        subject=subject, cut=cut(subject.solids, k_max_per_m), fields=fields, nucleus=nucleus
    )


LEVEL_M = 1e-4
"""Distance of the levels on which points are counted."""
STEP_M = 1.2e-3
"""And of the points on a level."""


def signal(sample, k_per_m, time_s, excite=everything):
    """Return what one uniform coil receives, ``(samples,)``."""
    given = {"demodulation_m": np.zeros(3)}
    terms = sample.terms(excite)
    return direct_signal(
        sample.plates, terms, uniform_coil(), k_per_m[None], time_s, threads=2, **given
    )[0, 0]


def at_once(subject, fields, nucleus):
    """Return the signal at k = 0 and t = 0."""
    sample = sample_of(subject, fields, nucleus)
    return signal(sample, np.zeros((1, 3)), np.zeros(1))[0]


def counted(solids, rng, step_m=STEP_M, level_m=LEVEL_M):
    """Return each solid's visible volume in m3 by counting points that it is painted last on.

    Every level has its own offset: errors at flat ends and round edges do not add up.
    """
    low = np.min([s.stack.box_m[0] for s in solids], axis=0)
    high = np.max([s.stack.box_m[1] for s in solids], axis=0)
    z = np.arange(low[2], high[2], level_m) + level_m * rng.uniform(size=1)
    table = [_profile_at(item.stack, z) for item in solids]
    ends = np.array([item.stack.box_m[:, 2] for item in solids])
    count = np.zeros(len(solids) + 1, np.int64)
    for n, level in enumerate(z):
        offset = step_m * rng.uniform(size=2)
        axes = [np.arange(low[i] - offset[i], high[i] + step_m, step_m) for i in (0, 1)]
        found = np.full([len(a) for a in axes], AIR)
        for number in np.flatnonzero((ends[:, 0] <= level) & (level <= ends[:, 1])):
            stack = solids[number].stack
            if stack.axis == 2:
                x, y, a, b = table[number][n]
                box = [(x - a, x + a), (y - b, y + b)]
            else:
                box = stack.box_m[:, :2].T
            i, j = (slice(*np.searchsorted(v, ab)) for v, ab in zip(axes, box, strict=True))
            r = np.stack(np.broadcast_arrays(axes[0][i, None], axes[1][j], level), axis=-1)
            if stack.axis == 2:
                inside = ((r[..., 0] - x) / a) ** 2 + ((r[..., 1] - y) / b) ** 2 <= 1.0
            else:
                inside = _inside(stack, r)
            found[i, j][inside] = number
        count += np.bincount(found.ravel() + 1, minlength=len(solids) + 1)
    return count[1:] * step_m**2 * level_m


def _profile_at(stack, z):
    if stack.axis != 2:
        return None
    shape = integrals.profile(stack, np.clip(z, *stack.ends_m))
    shape[:, 2:] = np.maximum(shape[:, 2:], 1e-9)
    return shape


def _inside(stack, r):
    """Tell which points lie in a stack along x or y, by its definition."""
    s, across = r[..., stack.axis], r[..., list(integrals.OTHERS[stack.axis])]
    if not s.size:
        return np.zeros(s.shape, bool)
    shape = integrals.profile(stack, np.clip(s, *stack.ends_m).ravel()).reshape(*s.shape, 4)
    u = (across - shape[..., :2]) / np.maximum(shape[..., 2:], 1e-9)
    return (s >= stack.ends_m[0]) & (s <= stack.ends_m[1]) & ((u**2).sum(axis=-1) <= 1.0)


def own_and_replaced(solids):
    """Return pairs of solid and surroundings with the volume that the one takes of the other.

    Integrated between all levels at which anything ends, 6 nodes each: exact.
    """
    rows = []
    for number, item in enumerate(solids):
        stack = item.stack
        ends = [e for s in solids[:number] if s.stack.axis == stack.axis for e in s.stack.ends_m]
        bounds = integrals.pieces(stack, ends)
        middles = stack.points(0.5 * (bounds[:-1] + bounds[1:]))
        parent = np.full(len(middles), AIR)
        for other in range(number):
            parent[solids[other].stack.contains(middles)] = other
        x, w = np.polynomial.legendre.leggauss(6)
        for around, (a, b) in zip(parent.tolist(), pairwise(bounds), strict=True):
            shape = integrals.profile(stack, 0.5 * (b - a) * x + 0.5 * (a + b))
            volume = np.pi * (shape[:, 2] * shape[:, 3]) @ w * 0.5 * (b - a)
            rows.append((number, around, volume))
    return rows


@pytest.mark.parametrize(("preset", "sides"), CASES)
def test_the_whole_hand_holds_what_its_solids_hold(preset, sides, rng):
    setting = hands.setting(preset=preset, sides=sides)
    solids = setting.subject.solids
    visible = counted(solids, rng)
    rows = own_and_replaced(solids)
    seen = np.zeros(len(solids) + 1)
    for own, parent, volume in rows:
        seen[own] += volume
        seen[parent] -= volume
    told = setting.subject.visible_m3
    np.testing.assert_allclose(told, seen[:-1], rtol=1e-9, atol=1e-15)
    # A slab of height h is counted on h / level levels, one more or less; of n points that fall on
    # a piece, no more are off than of n thrown at random: 4 standard deviations are 4 / sqrt(n).
    large = told > 100e-9
    assert large.sum() > 50
    height = np.array([np.diff(s.stack.box_m[:, 2])[0] for s in solids])
    points = told[large] / (STEP_M**2 * LEVEL_M)
    off = np.abs(visible - told)[large] / told[large]
    assert (off <= LEVEL_M / height[large] + 4.0 / np.sqrt(points)).all()
    for nucleus, density in (("1H", hands.protons(solids)), ("23Na", hands.sodium(solids))):
        total = at_once(setting.subject, setting.fields, nucleus)
        assert total == pytest.approx(visible @ density, rel=2e-3)
        around = np.append(density, 0.0)
        exact = sum(volume * (density[own] - around[parent]) for own, parent, volume in rows)
        assert total == pytest.approx(exact, rel=1e-11)


def alone(solids, transmit=1.0, static_hz=0.0):
    """Return solids as a subject in even fields, turned against the patient."""
    n = len(solids)
    turn, _ = np.linalg.qr(np.array([[1.0, 0.2, 0.1], [-0.2, 1.0, 0.1], [0.0, -0.1, 1.0]]))
    subject = Subject(
        sides="right",
        hands={},
        vials=(),
        solids=tuple(solids),
        side=("",) * n,
        placement=Placement(rotation=turn, origin_m=np.array([0.01, -0.02, 0.05])),
    )
    even = np.zeros((n, 4))
    even[:, 0] = 1.0
    fields = Fields(
        static_hz=static_hz * even,
        transmit=transmit * np.stack([even, even]),
        ends_m=np.array([s.stack.ends_m for s in solids]),
        axis=np.array([s.stack.axis for s in solids]),
    )
    return subject, fields


def test_a_dilute_sphere_in_a_denser_one_integrates_right():
    ball = 4 / 3 * np.pi
    solids = [
        Solid(
            name=name,
            tissue="cartilage",
            stack=ellipsoid_mm((0, 0, 0), (r, r, r)),
            concentration_mmol_per_l=c,
        )
        for name, r, c in (("outer", 10.0, 100.0), ("inner", 4.0, 10.0))
    ]
    total = at_once(*alone(solids), "23Na")
    expected = 100.0 * ball * (10.0**3 - 4.0**3) * 1e-9 + 10.0 * ball * 4.0**3 * 1e-9
    assert total == pytest.approx(expected, rel=1e-12)


def test_a_vial_decays_during_its_readout_as_agar_does(rng):
    """A cylinder's transform times 0.6 of the short decay and 0.4 of the long one."""
    r, half = 7.5e-3, 9.5e-3
    vial = Solid(
        name="vial",
        tissue="agar",
        stack=tube_mm([(z, 3.0, -4.0, 7.5, 7.5) for z in (5.5, 24.5)]),
        concentration_mmol_per_l=150.0,
    )
    subject, fields = alone([vial], static_hz=40.0)
    k, t = rng.uniform(-60, 60, (200, 3)), np.linspace(3e-4, 2.2e-2, 200)
    found = signal(sample_of(subject, fields, "23Na"), k, t)
    placement = subject.placement
    local = k @ placement.rotation.T
    q = 2 * np.pi * r * np.hypot(local[:, 0], local[:, 1])
    form = np.pi * r**2 * 2 * half * 2 * j1(q) / q * np.sinc(2 * half * local[:, 2])
    centre = placement.rotation.T @ [3e-3, -4e-3, 15e-3] + placement.origin_m
    decay = 0.6 * np.exp(-t / 4e-3) + 0.4 * np.exp(-t / 19e-3)
    frequency_hz = 40.0 * 26.451900 / 100.0  # IUPAC, of the proton's
    turned = np.exp(-2j * np.pi * (frequency_hz * t + k @ centre))
    expected = 150.0 * form * decay * turned
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-8 * 150.0 * np.pi * r**2 * 2 * half)


def test_fat_turns_with_its_shift_and_decays_with_its_t2star():
    entry = tissue("subcutaneous_fat")
    fat = Solid(
        name="fat", tissue="subcutaneous_fat", stack=ellipsoid_mm((0, 0, 0), (5.0, 5.0, 5.0))
    )
    subject, fields = alone([fat], static_hz=-25.0)
    t = np.linspace(0.0, 0.015, 50)
    found = signal(sample_of(subject, fields, "1H"), np.zeros((50, 3)), t)
    shift_hz = -3.4e-6 * 42.577478518e6 * 7.0  # ppm of the proton frequency at 7 T
    volume = 4 / 3 * np.pi * 5e-3**3
    decay = np.exp(-t / entry.proton.t2star_s - 2j * np.pi * (shift_hz - 25.0) * t)
    expected = 0.9 * volume * decay
    # The magneton's digits differ by 1e-7 of 1 kHz: a phase of 1e-5 in 15 ms.
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-5 * 0.9 * volume)


def test_a_spoiled_excitation_weighs_by_t1_and_transmit_field():

    muscle = Solid(name="m", tissue="muscle", stack=ellipsoid_mm((0, 0, 0), (5.0, 5.0, 5.0)))
    subject, fields = alone([muscle], transmit=0.8)
    t1_s = tissue("muscle").proton.t1_s
    sample = sample_of(subject, fields, "1H")
    for flip_deg in (3.0, 8.0, 18.0):
        x, e = np.radians(0.8 * flip_deg), np.exp(-10e-3 / t1_s)
        weight = np.sin(x) * (1 - e) / (1 - np.cos(x) * e)
        found = signal(sample, np.zeros((1, 3)), np.zeros(1), spoiled(flip_deg, 10e-3))[0]
        expected = tissue("muscle").proton.proton_density * 4 / 3 * np.pi * 5e-3**3 * weight
        assert found == pytest.approx(expected, rel=1e-12)
