"""Every proximal map and dual step against its own definition, minimised by brute force."""

import numpy as np
import pytest
from scipy.optimize import minimize

from laws import complex_normal
from ultrahand.errors import RecordError
from ultrahand.numerics.least_squares import LeastSquares
from ultrahand.numerics.priors import (
    Components,
    Direct,
    Fading,
    GeneralizedVariation,
    LowRank,
    Squares,
    TotalVariation,
    Wavelets,
    guide_of,
    summed,
    time_variation,
)
from ultrahand.numerics.proximal_gradient import proximal_gradient
from ultrahand.numerics.solution import Status

TINY = [(1, 1, 2, 3), (2, 1, 1, 3), (1, 1, 1, 1), (3, 2, 1, 1)]
STEP = 0.7


def images(rng, shape):
    return complex_normal(rng, shape).astype(np.complex64)


def haar(x, levels):
    """Return all coefficients but the last means of images, by the definition; sizes odd or even.

    Pairs go to sums and differences over sqrt(2), axis by axis; one left over stays a mean.
    """
    details = []
    for _ in range(levels):
        parts = [((), x)]
        for axis in (1, 2, 3):
            split = []
            for name, part in parts:
                n = part.shape[axis] // 2 * 2
                even, odd = (
                    np.take(part, range(first, n, 2), axis) * np.sqrt(0.5) for first in (0, 1)
                )
                rest = np.take(part, range(n, part.shape[axis]), axis)
                split.append(((*name, 0), np.concatenate([even + odd, rest], axis)))
                split.append(((*name, 1), even - odd))
            parts = split
        details += [part.ravel() for name, part in parts if any(name)]
        x = parts[0][1]
    return np.concatenate(details) if details else np.zeros(0)


def nuclear(x, weight):
    matrix = x.reshape(len(x), -1)
    edge = np.sqrt(2) * (np.sqrt(matrix.shape[0]) + np.sqrt(matrix.shape[1]))
    return weight * edge * np.linalg.svd(matrix, compute_uv=False).sum()


CASES = {
    "squares": (Squares(weight=0.4), lambda x: 0.2 * np.sum(np.abs(x) ** 2)),
    "haar": (
        Wavelets(weight=0.4, levels=2, shifts=None),
        lambda x: 0.4 * np.abs(haar(x, 2)).sum(),
    ),
    "low rank": (LowRank(weight=0.1, block=None), lambda x: nuclear(x, 0.1)),
}


@pytest.mark.parametrize("shape", TINY)
@pytest.mark.parametrize("name", CASES)
def test_a_proximal_map_is_the_minimiser_of_its_definition(name, shape, rng):
    """No point that a search from it and from z finds is lower; the values agree."""
    prior, definition = CASES[name]
    z = 2 * images(rng, shape)
    out = np.empty_like(z)
    value = prior.prox(z, STEP, 0, out)

    def cost(flat):
        u = flat[: z.size].reshape(shape) + 1j * flat[z.size :].reshape(shape)
        return 0.5 * np.sum(np.abs(u - z) ** 2) + STEP * definition(u)

    def flat(u):
        return np.concatenate([u.real.ravel(), u.imag.ravel()]).astype(float)

    here = cost(flat(out))
    starts = [out, z, 0.9 * out + 0.1 * z]
    found = [
        minimize(cost, flat(s), method="Powell", options={"xtol": 1e-7, "ftol": 1e-12}).fun
        for s in starts
    ]
    # The cost is flat to second order about its minimum: single precision moves it by 1e-6 of it.
    assert here <= min(found) + 1e-5 * (1 + abs(here))
    assert value == pytest.approx(definition(out.astype(complex)), rel=1e-5, abs=1e-5)
    assert prior.value(out) == pytest.approx(value, rel=1e-5, abs=1e-5)


def gradient(x, axes, factors):
    """Return forward differences, 0 at the end of an axis."""
    out = np.zeros((len(axes), *x.shape), complex)
    for field, axis, factor in zip(out, axes, factors, strict=True):
        inner = [slice(None)] * 4
        inner[axis] = slice(0, -1)
        field[tuple(inner)] = factor * np.diff(x, axis=axis)
    return out


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (1, 1, 5, 4), (1, 1, 1, 7), (1, 1, 1, 1)])
@pytest.mark.parametrize("isotropic", [True, False])
def test_total_variation_is_the_sum_of_the_gradients_lengths(shape, isotropic, rng):
    x = images(rng, shape)
    voxel = (1e-3, 2e-3, 3e-3)
    prior = TotalVariation(weight=0.7, voxel_size_m=voxel, isotropic=isotropic)
    share = np.sqrt(np.prod(np.array(voxel) / 1e-3))
    field = gradient(x, (-3, -2, -1), [share * 1e-3 / h for h in voxel])
    size = np.sqrt((np.abs(field) ** 2).sum(axis=0)) if isotropic else np.abs(field)
    value, slack = prior.start(shape).measure(x)
    assert value == pytest.approx(0.7 * size.sum(), rel=1e-5, abs=1e-6)
    assert slack == pytest.approx(value)  # p = 0


@pytest.mark.parametrize("trust", [0.0, 0.6, 1.0])
def test_what_lies_along_the_guide_is_free(trust, rng):
    """The definition: |g - xi <xi, g>|; an image of the guide's own edges costs least."""
    guide, x = rng.standard_normal((3, 4, 5)), images(rng, (1, 3, 4, 5))
    along = guide_of(guide, edge=0.3, trust=trust)
    steep = gradient(guide[None], (-3, -2, -1), [1, 1, 1]).real[:, 0]
    xi = trust * steep / np.sqrt((steep**2).sum(axis=0) + 0.3**2)
    np.testing.assert_allclose(along, xi, rtol=1e-6, atol=1e-7)
    prior = TotalVariation(weight=1.0, guide=along)
    for image in (x, guide[None].astype(np.complex64)):
        field = gradient(image, (-3, -2, -1), [1, 1, 1])[:, 0]
        across = field - xi * (xi * field).sum(axis=0)
        expected = np.sqrt((np.abs(across) ** 2).sum(axis=0)).sum()
        assert prior.start(image.shape).measure(image)[0] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("shape", [(1, 3, 4, 5), (2, 2, 1, 3), (1, 1, 1, 4), (1, 1, 1, 1)])
@pytest.mark.parametrize("kind", ["plain", "guided", "bent", "time"])
def test_the_dual_steps_are_adjoint_and_within_their_norm(shape, kind, rng):
    """<K x, p> of `measure` is <x, K^H p> of `descend`; K^H p of unit steps obeys the norm."""
    guide = rng.standard_normal(shape[1:])
    prior = {
        "plain": TotalVariation(weight=1.0),
        "guided": TotalVariation(weight=1.0, guide=guide_of(guide, edge=0.5)),
        "bent": GeneralizedVariation(weight=1.0),
        "time": time_variation(1.0),
    }[kind]
    x, y = images(rng, shape), images(rng, shape)
    dual = prior.start(shape)
    dual.ascend(0.1, y)
    back = np.zeros_like(x)
    if kind == "bent":
        kept = dual.v.copy()
        dual.descend(0.0, back)
        np.testing.assert_array_equal(dual.v, kept)  # its own unknowns are 0: <K (x, 0), (p, q)>
    else:
        dual.descend(0.0, back)
    value, slack = dual.measure(x)
    product = np.vdot(x.astype(complex), back.astype(complex)).real
    # Sums of up to 120 single precision products of about 1.
    assert value - slack == pytest.approx(product, rel=1e-5, abs=2e-5)
    # Not projected (0.1 |K y| < 1 mostly), p = 0.1 K y: |K^H p| <= 0.1 |K|^2 |y|.
    assert np.linalg.norm(back) <= 0.1 * prior.norm**2 * np.linalg.norm(y) * (1 + 1e-5)


def test_blocks_of_low_rank_are_thresholded_one_by_one(rng):
    """5 x 7 voxels in blocks of 2 x 3, the last ones shorter: each by its own edge."""
    x = images(rng, (4, 1, 5, 7))
    out, exact = np.empty_like(x), np.empty((4, 1, 5, 7), complex)
    value = LowRank(weight=0.3, block=(1, 2, 3), shifts=None).prox(x, 1.0, 3, out)
    total = 0.0
    for y in range(0, 5, 2):
        for c in range(0, 7, 3):
            part = x[:, :, y : y + 2, c : c + 3]
            u, s, vh = np.linalg.svd(part.reshape(4, -1).astype(complex), full_matrices=False)
            edge = np.sqrt(2) * (2 + np.sqrt(part[0].size))
            left = np.maximum(s - 0.3 * edge, 0)
            total += 0.3 * edge * left.sum()
            exact[:, :, y : y + 2, c : c + 3] = ((u * left) @ vh).reshape(part.shape)
    np.testing.assert_allclose(out, exact, atol=3e-6)
    assert value == pytest.approx(total, rel=1e-6)


def test_shifted_blocks_only_move(rng):
    """A random shift of the blocks is a cyclic shift of the image and back."""
    x = images(rng, (3, 4, 4, 4))
    prior = LowRank(weight=0.4, block=(2, 2, 2))
    still = LowRank(weight=0.4, block=(2, 2, 2), shifts=None)
    results = [np.empty_like(x) for _ in range(4)]
    for turn, out in enumerate(results):
        prior.prox(x, 1.0, turn, out)
        options = []
        for shift in np.ndindex(2, 2, 2):
            moved = np.ascontiguousarray(np.roll(x, [-s for s in shift], (1, 2, 3)))
            back = np.empty_like(moved)
            still.prox(moved, 1.0, 0, back)
            options.append(np.abs(np.roll(back, shift, (1, 2, 3)) - out).max())
        assert min(options) < 1e-5
    assert not np.array_equal(results[0], results[1]) or not np.array_equal(results[0], results[2])


def test_noise_alone_is_just_removed_by_a_low_rank_of_one(rng):
    """The edge: w = 1 removes it, w = 0.8 does not; 4 x 4096 entries have a sharp one."""
    x = images(rng, (4, 16, 16, 16))
    out = np.empty_like(x)
    # The largest singular value lies within a few times p^(-2/3) of the edge: 1 %.
    LowRank(weight=1.01, block=None).prox(x, 1.0, 0, out)
    assert not out.any()
    LowRank(weight=0.8, block=None).prox(x, 1.0, 0, out)
    assert out.any()


def test_components_have_priors_of_their_own(rng):
    x = images(rng, (2, 3, 1, 2, 2))
    parts = (LowRank(weight=0.1, block=None), Squares(weight=0.5))
    both, out = Components(priors=parts), np.empty_like(x)
    value = both.prox(x, STEP, 0, out)
    for prior, a, b in zip(parts, x, out, strict=True):
        alone = np.empty_like(a)
        value -= prior.prox(a, STEP, 0, alone)
        np.testing.assert_array_equal(alone, b)
    assert abs(value) < 1e-9
    with pytest.raises(RecordError, match="expected 2 images"):
        both.value(x[:1])


def test_moreaus_identity_holds(rng):
    """z = prox_(sigma R*)(z) + sigma prox_(R / sigma)(z / sigma)."""
    z = images(rng, (1, 2, 3, 4))
    prior = Wavelets(weight=0.6, shifts=None)
    dual = Direct(prior=prior).start(z.shape)
    dual.ascend(1.7, z / np.float32(1.7))
    p, nearest = np.zeros_like(z), np.empty_like(z)
    dual.descend(0.0, p)
    prior.prox(np.ascontiguousarray(z / np.float32(1.7)), 1 / 1.7, 0, nearest)
    np.testing.assert_allclose(p + 1.7 * nearest, z, atol=1e-6)
    assert dual.measure(nearest)[1] == pytest.approx(0, abs=1e-5)  # its own subgradient


def test_a_fading_prior_ends_as_itself(rng):
    z = images(rng, (1, 1, 4, 4))
    fading = Fading(prior=Squares(weight=0.5), turns=4, factor=16.0)
    out = np.empty_like(z)
    for turn, strength in enumerate([16, 8, 4, 2, 1, 1, 1]):
        fading.prox(z, 1.0, turn, out)
        np.testing.assert_allclose(out, z / (1 + 0.5 * strength), rtol=1e-6)
    assert not fading.steady
    assert Fading(prior=Squares(weight=0.5), turns=0).steady


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Fading(prior=Squares(weight=1.0), turns=-1),
        lambda: Fading(prior=Squares(weight=1.0), turns=1, factor=0.5),
        lambda: Squares(weight=np.nan),
        lambda: LowRank(weight=1.0, block=(0, 1, 1)),
        lambda: Wavelets(weight=1.0, levels=0),
        lambda: Wavelets(weight=1.0, moments=9),
        lambda: GeneralizedVariation(weight=1.0, reach=0.0),
        lambda: TotalVariation(weight=1.0, axes=(-1, -1)),
        lambda: TotalVariation(weight=1.0, axes=(-1,), voxel_size_m=(1e-3, 1e-3)),
        lambda: TotalVariation(weight=1.0, guide=np.zeros((2, 1, 1, 1), np.float32)),
        lambda: guide_of(np.full((1, 2, 2), np.nan), edge=1.0),
        lambda: guide_of(np.zeros((1, 2, 2)), edge=0.0),
        lambda: guide_of(np.zeros((1, 2, 2)), edge=1.0, trust=1.5),
    ],
)
def test_priors_out_of_range_are_refused(wrong):
    with pytest.raises(RecordError):
        wrong()


class Voxels:
    """The sum of all voxels' sizes, times w: sparse images. A prior as anyone may write one."""

    steady = True

    def __init__(self, weight):
        self.weight = weight

    def prox(self, z, step, _turn, out):
        size = np.abs(z)
        out[...] = z * np.maximum(1 - step * self.weight / np.maximum(size, 1e-20), 0)
        return self.value(out)

    def value(self, x):
        return self.weight * float(np.abs(x).sum())


def test_a_background_and_what_moves_are_told_apart(rng):
    """Low rank plus sparse of whole measurements: a steady image and a voxel a frame that flashes.

    Flashes of 60 are thresholded by 3 and blurred by the background's own error; one that stayed
    in the low-rank part would be missing whole.
    """
    steady = np.repeat(20 * complex_normal(rng, (1, 1, 8, 8)), 10, axis=0)
    flashes = np.zeros((10, 1, 8, 8), complex)
    for frame, at in enumerate(rng.permutation(64)[:10]):
        flashes[frame, 0, at // 8, at % 8] = 60
    rhs = (steady + flashes + complex_normal(rng, steady.shape)).astype(np.complex64)
    image = LeastSquares(normal=lambda x: x.copy(), rhs=rhs, information=1.0, largest=1.0)
    parts = summed(image, 2)
    assert (parts.largest, parts.noise_sd) == (2.0, 1.0)
    priors = Components(priors=(LowRank(weight=1.0, block=None), Voxels(3.0)))
    found = proximal_gradient(parts, priors, tolerance=1e-5, max_iterations=3000)
    assert found.status is Status.CONVERGED
    low, sparse = found.value
    assert np.linalg.matrix_rank(low.reshape(10, -1), tol=1e-3 * np.linalg.norm(low)) == 1
    assert ((np.abs(sparse) > 30) == (np.abs(flashes) > 0)).all()
    with pytest.raises(RecordError):
        summed(image, 0)
