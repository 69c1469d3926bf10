import numpy as np
import pytest

from ultrahand.errors import InputError
from ultrahand.recon.lines import line_indices, readout_classes
from ultrahand.records import READOUT_DTYPE, Encoding, EncodingSpace, Header, Limit
from ultrahand.records.readouts import REVERSE_FLAG

STEP = "kspace_encode_step_1"


def encoding(limit):
    space = EncodingSpace(matrix=(16, 8, 1), fov_m=(0.16, 0.08, 0.01))
    limits = {"kspace_encoding_step_1": limit} if limit else {}
    return Encoding(
        trajectory="cartesian", encoded=space, recon=space, limits=limits, acceleration=None
    )


def table(lines):
    readouts = np.zeros(len(lines), READOUT_DTYPE)
    readouts[STEP] = lines
    return readouts


def placed(lines, limit, size=8):
    readouts = table(lines)
    return line_indices(readouts, np.arange(len(lines)), STEP, encoding(limit), size)


def test_lines_count_from_the_centre_of_the_limits():
    k, findings = placed(range(1, 7), Limit(minimum=0, maximum=7, center=4))
    assert k.tolist() == [-3, -2, -1, 0, 1, 2]
    assert not findings


@pytest.mark.parametrize(
    "limit",
    [None, Limit(minimum=0, maximum=7, center=None), Limit(minimum=0, maximum=7, center=0)],
    ids=["no limits", "no centre", "centre 0"],
)
def test_a_centre_that_is_missing_is_the_middle_with_a_warning(limit):
    k, findings = placed(range(8), limit)
    assert k.tolist() == list(range(-4, 4))
    assert [finding.level for finding in findings] == ["warning"]


def test_a_centre_of_zero_is_believed_for_half_of_k_space():
    k, findings = placed(range(5), Limit(minimum=0, maximum=4, center=0))
    assert k.tolist() == [0, 1, 2, 3, 4]
    assert not findings


def test_the_line_plus_half_of_an_even_matrix_belongs_to_it():
    k, _ = placed(range(8), Limit(minimum=0, maximum=7, center=3))
    assert k.max() == 4


def test_plus_half_and_minus_half_together_are_refused():
    with pytest.raises(InputError, match=STEP):
        placed(range(9), Limit(minimum=0, maximum=8, center=4))


def test_a_centre_outside_its_limits_is_refused():
    with pytest.raises(InputError, match="centre 9"):
        placed(range(4), Limit(minimum=0, maximum=7, center=9))


def test_readouts_decide_where_limits_differ():
    _, findings = placed(range(8), Limit(minimum=0, maximum=5, center=4))
    assert "0 to 7" in findings[0].found


def readout(samples=16, center=8, pre=0, post=0, reverse=False):
    readouts = np.zeros(1, READOUT_DTYPE)
    readouts["number_of_samples"], readouts["center_sample"] = samples, center
    readouts["discard_pre"], readouts["discard_post"] = pre, post
    readouts["flags"] = REVERSE_FLAG if reverse else 0
    return readouts


def one_class(readouts, vendor=None, size=16):
    header = Header(encodings=(encoding(None),), vendor=vendor)
    (found,), findings = readout_classes(readouts, np.array([0]), header, size)
    return found, findings


@pytest.mark.parametrize(
    ("readouts", "vendor", "k_first", "n_kept"),
    [
        (readout(), None, -8, 16),
        (readout(samples=12, center=4), None, -4, 12),
        (readout(samples=12, center=8), None, -8, 12),
        (readout(samples=19, center=10, pre=2, post=1), None, -8, 16),
        (readout(reverse=True), None, -7, 16),
        (readout(reverse=True), "SIEMENS", -8, 16),
        (readout(samples=12, center=4, reverse=True), None, -7, 12),
        (readout(samples=12, center=4, reverse=True), "Siemens Healthineers", -8, 12),
    ],
    ids=[
        "full",
        "front missing",
        "end missing",
        "discards",
        "reversed",
        "reversed by Siemens",
        "partial reversed",
        "partial reversed by Siemens",
    ],
)
def test_samples_lie_where_their_centre_says(readouts, vendor, k_first, n_kept):
    found, _ = one_class(readouts, vendor)
    assert (found.k_first, found.n_kept) == (k_first, n_kept)


def test_a_centre_sample_never_filled_is_the_middle_with_a_warning():
    found, findings = one_class(readout(center=0))
    assert found.k_first == -8
    assert [finding.level for finding in findings] == ["warning"]


@pytest.mark.parametrize(
    ("readouts", "words"),
    [
        (readout(samples=20, center=10), "20 samples"),
        (readout(samples=16, center=8, pre=10, post=6), "discarded"),
        (readout(samples=16, center=16), "center_sample"),
        (readout(samples=16, center=2, pre=3), "center_sample"),
        (readout(samples=12, center=11), "k from -11"),
    ],
    ids=["too long", "all discarded", "centre behind", "centre discarded", "beyond the matrix"],
)
def test_readouts_that_fit_nowhere_are_refused(readouts, words):
    with pytest.raises(InputError, match=words):
        one_class(readouts)
