"""What the benchmark calls true, held to definitions."""

import numpy as np
import pytest

from ultrahand.bench import coil_maps, exact
from ultrahand.bench.picture import write_picture
from ultrahand.bench.problem import Case, relative_error
from ultrahand.bench.result import Result, Row, compare
from ultrahand.bench.setting import random_complex
from ultrahand.bench.sodium_file import PROBLEM as SODIUM


def definition(k, shape):
    """The matrix of the transform."""
    grid = np.meshgrid(*[(np.arange(n) - n // 2) / n for n in shape], indexing="ij")
    r = np.stack([axis.ravel() for axis in grid])
    return np.exp(-2j * np.pi * k.astype(float) @ r) / np.sqrt(r.shape[1])


@pytest.mark.parametrize("shape", [(4, 5), (3, 4, 5)])
def test_exact_transform(shape):
    rng = np.random.default_rng(0)
    k = rng.uniform(-1, 1, (30, len(shape))).astype(np.float32) * np.array(shape, np.float32) / 2
    image, samples = random_complex(rng, *shape), random_complex(rng, 30)
    nufft, matrix = exact.exact_nufft(k, shape, 1), definition(k, shape)
    # Asked for 1e-10; two orders for what FINUFFT adds up over so few numbers.
    expected = matrix @ image.ravel()
    assert np.linalg.norm(exact.exact_forward(nufft, k, image) - expected) < 1e-8
    expected = (matrix.conj().T @ samples).reshape(shape)
    assert np.linalg.norm(exact.exact_adjoint(nufft, k, samples) - expected) < 1e-8
    with pytest.raises(ArithmeticError, match="misses the sum"):
        exact.exact_forward(nufft, -k, image)
    with pytest.raises(ArithmeticError, match="misses the sum"):
        exact.exact_adjoint(nufft, -k, samples)


def test_conjugate_gradients_end_at_the_solution():
    rng = np.random.default_rng(1)
    root = rng.standard_normal((6, 6)) + 1j * rng.standard_normal((6, 6))
    matrix, rhs = root.conj().T @ root + np.eye(6), random_complex(rng, 6).astype(complex)
    solution = np.linalg.solve(matrix, rhs)
    errors = [
        np.linalg.norm(exact.conjugate_gradients(lambda x: matrix @ x, rhs, steps) - solution)
        for steps in (1, 3, 6)
    ]
    assert errors[0] > errors[1] > 1e-6 > errors[2]


def test_relative_error():
    truth = np.array([3.0, 4.0])
    assert relative_error(1j * truth, truth) == pytest.approx(0, abs=1e-12)
    assert relative_error(np.array([0.0, 1.0]), truth) == pytest.approx(0.6)
    assert np.isnan(relative_error(np.array([np.nan, 1.0]), truth))
    with pytest.raises(ValueError, match="1 numbers where 2"):
        relative_error(np.ones(1), truth)


def test_error_of_coil_maps(tmp_path):
    maps = np.stack([np.ones((2, 2)), np.zeros((2, 2))])
    case = Case(folder=tmp_path, threads=1)
    case.read.update(maps=maps, inside=np.array([[True, True], [False, False]]))
    assert coil_maps.judge(3j * maps, case) == pytest.approx(0, abs=1e-7)
    assert coil_maps.judge(maps[::-1], case) == pytest.approx(1)
    half = maps.copy()
    half[:, 0, 0] = 0  # of two voxels one has no map
    assert coil_maps.judge(half, case) == pytest.approx(np.sqrt(0.5))


def row(engine, seconds, error):
    return Row(
        problem="sodium",
        engine=engine,
        seconds_first=9.0,
        seconds_warm=seconds,
        cpu_seconds=seconds,
        error=error,
        peak_mb=1.0,
        threads=2,
        version="1",
        setting="",
        calls=1,
    )


def test_goals_want_speed_and_accuracy():
    rows = [row("ultrahand", 2.0, 1e-5), row("sigpy", 40.0, 1e-2), row("bart", 19.0, 1e-3)]
    goals = compare(SODIUM, rows)
    assert [goal.ratio for goal in goals] == [20, 9.5, 2]  # the last: 4 s over ours
    assert [goal.met for goal in goals] == [True, False, True]
    worse = compare(SODIUM, [row("ultrahand", 2.0, 1e-3), *rows[1:]])
    assert [goal.met for goal in worse] == [False, False, False]
    alone = compare(SODIUM, rows[:1])
    assert [goal.met for goal in alone] == [None, None, True]


def test_picture_of_errors_without_a_place(tmp_path):
    """An error of 0 or none has no place on a logarithmic axis; the others are drawn."""
    rows = [row("ultrahand", 2.0, 0.0), row("sigpy", 40.0, float("nan")), row("bart", 19.0, 1e-3)]
    for shown in (rows, rows[:2], []):
        result = Result(titles={"sodium": ("", "")}, rows=shown, absent=[], goals=[])
        write_picture(result, tmp_path / "bench.png")
        assert (tmp_path / "bench.png").read_bytes().startswith(b"\x89PNG")
