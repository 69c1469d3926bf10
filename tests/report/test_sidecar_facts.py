"""What a page takes from a sidecar is what the sidecar says, with units."""

import pytest

from ultrahand.errors import InputError
from ultrahand.records.findings import Level, warning
from ultrahand.records.provenance import Provenance
from ultrahand.report.sidecar_facts import (
    parameter_facts,
    provenance_facts,
    shown_command,
    sidecar_findings,
)


def sidecar(**fields):
    provenance = Provenance(
        inputs={"raw": "ab12", "noise": "cd34"},
        options={"method": "fft", "group": None, "max_memory_bytes": 20221208166},
        steps=("whitened", "inverse FFT"),
        findings=(warning("flip angle", found="0", expected="> 0", remedy="ask"),),
        versions={"ultrahand": "0.1.0", "numpy": "2.0"},
        threads=2,
        seed=None,
        command="ultrahand recon /data/Doe^John/a.h5 -o a.nii.gz",
    )
    return {**fields, "Provenance": provenance.as_dict()}


def test_parameters_have_their_units_and_order():
    fields = {
        "MagneticFieldStrength": 7.0,
        "RepetitionTime": 0.02,
        "EchoTime": [0.0005, None],
        "FlipAngle": 15.0,
        "VoxelSize_mm": [1.25, 1.25, 2.5],
        "FrameTimesStart": [float(i) for i in range(9)],
        "Units": "SNR",
        "NumberOfVolumes": 9,
    }
    found = [(f.name, f.value, f.unit) for f in parameter_facts(sidecar(**fields))]
    assert found == [
        ("MagneticFieldStrength", "7", "T"),
        ("RepetitionTime", "0.02", "s"),
        ("EchoTime", "0.0005, unknown", "s"),
        ("FlipAngle", "15", "degrees"),
        ("VoxelSize_mm", "1.25, 1.25, 2.5", "mm"),
        ("FrameTimesStart", "0, 1, 2, ... 4 more ..., 7, 8", "s"),
        ("Units", "SNR", ""),
        ("NumberOfVolumes", "9", ""),
    ]


def test_provenance_is_enough_to_make_it_again():
    found = {f.name: f.value for f in provenance_facts(sidecar())}
    assert found == {
        "input raw, sha256": "ab12",
        "input noise, sha256": "cd34",
        "command": "ultrahand recon a.h5 -o a.nii.gz",
        "versions": "ultrahand 0.1.0\nnumpy 2.0",
        "steps": "whitened\ninverse FFT",
        "options": "method = fft\ngroup = None",
        "seed": "nothing random took part",
    }


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        ("ultrahand recon -o a.nii.gz -- /data/Doe/a.h5", "ultrahand recon -o a.nii.gz -- a.h5"),
        ("ultrahand recon -o out/a.nii.gz ../Doe/a.h5", "ultrahand recon -o a.nii.gz a.h5"),
        ("x '/data/Doe, John/a b.h5'", "x 'a b.h5'"),
        ("x --noise=/data/Doe/n.h5", "x --noise=n.h5"),
        ("x --noise /data/Doe/n.h5:set/1", "x --noise n.h5:set/1"),
        ("x --trajectory=/data/k.h5:/spokes/k", "x --trajectory=k.h5:/spokes/k"),
        ("x --trajectory /data/do:e/k.npy", "x --trajectory k.npy"),
        ("x --trajectory-unit=1/m --group s/2", "x --trajectory-unit=1/m --group s/2"),
        ("x --trajectory-unit rad/pixel /data/Doe/", "x --trajectory-unit rad/pixel Doe"),
        ("x /data/Doe/raw", "x raw"),
        ("x '/data/Doe", "not shown: it cannot be parted into words; the sidecar has it"),
    ],
)
def test_a_command_is_shown_without_folders(command, shown):
    assert shown_command(command) == shown


def test_findings_come_back_whole():
    (found,) = sidecar_findings(sidecar())
    assert found == warning("flip angle", found="0", expected="> 0", remedy="ask")
    assert found.level is Level.WARNING


@pytest.mark.parametrize("change", [{"level": "inXo"}, {"remedy": None}])
def test_findings_that_were_changed_are_refused_with_a_way_out(change):
    one = sidecar()
    row = one["Provenance"]["Findings"][0] | change
    row = {name: value for name, value in row.items() if value is not None}
    with pytest.raises(InputError, match="run again with --verify"):
        sidecar_findings(one | {"Provenance": one["Provenance"] | {"Findings": [row]}})


def test_a_sidecar_without_provenance_has_none():
    assert provenance_facts({"Units": "SNR"}) == ()
    assert sidecar_findings({"Provenance": "lost"}) == ()
