"""Every bad input ends in a refusal of one line, or in an image with the oddity counted."""

import json

import pytest
from bad_inputs import CASES, CRASHING, HOSTILE_CASES, HOSTILE_NAMES, OK, REFUSED
from commands import snapshot, ultrahand


@pytest.fixture
def run(tmp_path):
    """Build a case and run check and recon on it, in limits, without touching what was given."""

    def of(case):
        given, outputs = tmp_path / "given", tmp_path / "outputs"
        given.mkdir()
        outputs.mkdir()
        case.build(given / case.file)
        before = snapshot(given)
        options = [
            o if o.startswith("-") or not (given / o.split(":")[0]).is_file() else given / o
            for o in case.options
        ]
        raw = given / case.file
        check = ultrahand("check", "--json", *options, raw, folder=tmp_path)
        recon = ultrahand("recon", *options, "-o", outputs / "image.nii.gz", raw, folder=tmp_path)
        assert snapshot(given) == before, "an input was changed"
        for ended in (check, recon):
            ended.assert_within_limits()
        return check, recon, outputs

    return of


@pytest.mark.parametrize("case", [c for c in CASES if c.code != OK], ids=lambda case: case.name)
def test_bad_input_is_refused_in_one_line(case, run):
    check, recon, outputs = run(case)
    for ended in (check, recon):
        assert ended.code == case.code, ended.err
        line = ended.the_line(case.file if case.at_fault is None else case.at_fault)
        for words in case.says:
            assert words in line
    assert not list(outputs.iterdir())


@pytest.mark.parametrize("case", [c for c in CASES if c.code == OK], ids=lambda case: case.name)
def test_odd_input_makes_an_image_and_is_counted(case, run):
    check, recon, outputs = run(case)
    assert (check.code, recon.code) == (0, 0), check.err + recon.err
    assert check.json["accepted"]
    assert all(line.startswith("ultrahand: warning: ") for line in recon.err.splitlines())
    sidecars = [json.loads(path.read_text()) for path in outputs.glob("*.json")]
    assert sidecars
    reports = [check.json["findings"]]
    reports += [sidecar["Provenance"]["Findings"] for sidecar in sidecars]
    for findings in reports:
        for field, found in case.finds:
            assert any(field in f["field"] and found in f["found"] for f in findings), findings
    assert not list(outputs.glob(".*"))


@pytest.mark.parametrize("case", HOSTILE_CASES, ids=lambda case: case.name)
def test_hostile_text_appears_nowhere(case, run):
    check, recon, outputs = run(case)
    text = HOSTILE_NAMES[case.name]
    marks = [text[:20], text[:20].replace('"', '\\"'), "zzz", "zqx", "alert"]
    for said in (check.out, check.err, recon.out, recon.err):
        assert not any(mark in said for mark in marks)
    for path in outputs.iterdir():
        assert not any(mark.encode() in path.read_bytes() for mark in marks)
        assert path.name.startswith("image")


def test_bytes_on_which_hdf5_crashes_end_in_an_image_or_a_refusal(run):
    """Which of them depends on how much of the file HDF5 itself is asked to convert."""
    check, recon, _ = run(CRASHING)
    assert check.code == recon.code
    assert check.code in (OK, REFUSED)
    if check.code:
        check.the_line("raw.h5")
        recon.the_line("raw.h5")
