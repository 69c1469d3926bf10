"""``--method dynamic`` from the command line and from an examination."""

import json

import nibabel as nib
import numpy as np
import pytest
from commands import ultrahand
from exams import COILS, cartesian, exam_text, golden, table

from ultrahand.io.write_ismrmrd import write_hdf5

DYNAMIC = ("--method", "dynamic", "--frame-time", "0.4")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """120 spokes, 20 ms apart, and lines of a grid."""
    place = tmp_path_factory.mktemp("dynamic")
    write_hdf5(golden(n_spokes=120, trajectory_unit="1/m"), place / "dynamic.h5")
    write_hdf5(cartesian(), place / "lines.h5")
    return place


def sidecar_of(path):
    return json.loads(path.read_text(encoding="utf-8"))


def test_a_series_with_its_footprint_and_its_options(folder, tmp_path):
    out = tmp_path / "series.nii.gz"
    ended = ultrahand("recon", folder / "dynamic.h5", "-o", out, *DYNAMIC, folder=tmp_path)
    assert ended.code == 0, ended.err
    image = nib.load(out)
    assert image.shape == (16, 16, 1, 6)
    assert np.isfinite(image.get_fdata()).all()
    told = sidecar_of(tmp_path / "series.json")
    assert told["ReconstructionMethod"] == "dynamic"
    assert told["DynamicReconstruction"] == "grasp"
    assert told["NumberOfReceiveChannels"] == COILS
    assert told["FrameSpokes"] == [20] * 6
    assert told["Provenance"]["Options"]["dynamic"] == "grasp"
    assert any("GRASP" in step for step in told["Provenance"]["Steps"])
    assert not (tmp_path / "series_stderr.nii.gz").exists()


def test_shared_views_have_a_standard_error(folder, tmp_path):
    out = tmp_path / "series.nii.gz"
    more = ("--dynamic", "view-sharing")
    ended = ultrahand("recon", folder / "dynamic.h5", "-o", out, *DYNAMIC, *more, folder=tmp_path)
    assert ended.code == 0, ended.err
    assert (nib.load(tmp_path / "series_stderr.nii.gz").get_fdata() > 0).all()


@pytest.mark.parametrize(
    ("file", "options", "code", "words"),
    [
        ("dynamic.h5", ("--method", "dynamic"), 2, "needs --frame-time S"),
        ("dynamic.h5", (*DYNAMIC[:3], "0.02"), 2, "fewer than 3 spokes"),
        ("lines.h5", DYNAMIC, 2, "needs spokes"),
        ("dynamic.h5", (*DYNAMIC, "--max-memory", "100MB"), 5, "are needed (samples"),
    ],
)
def test_refusals_are_one_line_and_leave_nothing(file, options, code, words, folder, tmp_path):
    out = tmp_path / "series.nii.gz"
    ended = ultrahand("recon", folder / file, "-o", out, *options, folder=tmp_path)
    assert ended.code == code
    assert words in ended.err
    assert ended.err.count("\n") == 1
    assert not list(tmp_path.glob("series*"))


def test_an_examination_names_the_method_of_a_series(folder, tmp_path):
    options = {"method": "dynamic", "dynamic": "view-sharing", "frame-time": 0.4}
    text = exam_text(table("agent", "dynamic", str(folder / "dynamic.h5"), options=options))
    (tmp_path / "exam.toml").write_text(text, encoding="utf-8")
    ended = ultrahand("exam", tmp_path / "exam.toml", "-o", tmp_path / "out", folder=tmp_path)
    assert ended.code == 0, ended.err
    (sidecar,) = (tmp_path / "out").rglob("*_dynamic.json")
    assert sidecar_of(sidecar)["DynamicReconstruction"] == "view-sharing"
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "10.1002/1522-2594(200012)44:6" in page  # what shared views are to be cited by
