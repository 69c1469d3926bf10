"""The files that belong to an examination: what is taken, and how each mistake is refused."""

import gzip
import json

import nibabel
import numpy as np
import pytest

from ultrahand.errors import InputError
from ultrahand.io.exam_tables import MAX_BYTES, check_exam_file

POINTS = "name x_mm y_mm z_mm"


def tsv(*lines):
    return "\n".join("\t".join(line.split(" ")) for line in lines) + "\n"


@pytest.fixture
def check(tmp_path):
    def of(role, content, name=None):
        path = tmp_path / (name or f"{role}.tsv")
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        check_exam_file(role, path)

    return of


def refusal(check, *given):
    with pytest.raises(InputError) as caught:
        check(*given)
    error = caught.value
    assert error.exit_code == 3
    assert error.file
    assert error.found
    assert error.expected
    assert error.remedy
    return str(error)


# --- tables ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("role", "text"),
    [
        ("landmarks", tsv(POINTS, "mcp1 1 -2.5 3e1")),
        ("landmarks", "\ufeff" + tsv(POINTS, "mcp1 1 2 3").replace("\n", "\r\n")),
        ("landmarks", tsv("x_mm y_mm z_mm name side", "1 2 3 mcp1 left", "4 5 6 mcp1 right")),
        ("spheres", tsv(POINTS + " radius_mm", "core 1 2 3 4")),
        ("spheres", tsv(POINTS + " radius_mm t1_ms note", "core 1 2 3 4 n/a mine")),
        ("vials", tsv(POINTS + " concentration_mmol_per_l", "a 1 2 3 0", "b 1 2 9 250")),
        ("vials", tsv(POINTS + " concentration_mol_per_l", "a 1 2 3 0.1")),
        ("vials", tsv(POINTS + " concentration_g_nacl_per_l", "a 1 2 3 5.8")),
        ("vials", tsv(POINTS + " concentration_mol_per_m3", "a 1 2 3 100")),
        (
            "vials",
            tsv(
                POINTS + " radius_mm concentration_mmol_per_l concentration_stderr_mmol_per_l "
                "t1_ms t2star_short_ms t2star_long_ms short_fraction",
                "vial1 -60.1 14.1 42.9 7.5 50 0.5 30 4 19 0.6",
                "vial2 -60.1 14.1 62.9 7.5 50 n/a n/a n/a n/a n/a",
            ),
        ),
    ],
)
def test_tables_as_the_guide_has_them_are_taken(role, text, check):
    check(role, text)


@pytest.mark.parametrize(
    ("role", "text", "words"),
    [
        ("landmarks", "", "file: found nothing in it"),
        ("landmarks", " \n\n", "file: found nothing in it"),
        ("landmarks", b"\xef\xbb\xbf", "file: found nothing in it"),
        ("landmarks", tsv(POINTS, "a 1_0 2 3"), "x_mm: found '1_0'"),
        ("landmarks", b"\x89HDF\r\n\x1a\n" + bytes(99), "bytes in line 1 that are no UTF-8"),
        ("landmarks", b"#" * (MAX_BYTES + 1), "more than 1048576 bytes"),
        ("landmarks", tsv(POINTS), "a first line alone"),
        ("landmarks", tsv(POINTS).replace("\t", ",") + "a,1,2,3\n", "line 1: found no column"),
        ("landmarks", tsv("name x y z", "a 1 2 3"), "line 1: found no column x_mm"),
        ("landmarks", tsv("name x_mm x_mm y_mm z_mm", "a 1 1 2 3"), "'x_mm' twice"),
        ("landmarks", tsv(POINTS, "a 1 2 3", "b 1 2"), "line 3: found 3 cells, expected 4"),
        ("landmarks", tsv(POINTS, "a 1 2,5 3"), "line 2, y_mm: found '2,5', expected a number"),
        ("landmarks", tsv(POINTS, "a 1 nan 3"), "line 2, y_mm: found 'nan'"),
        ("landmarks", tsv(POINTS, "a 1 n/a 3"), "line 2, y_mm: found 'n/a'"),
        ("landmarks", tsv(POINTS, "a 1 2 3", "", "a 1 2 3"), "line 4, name: found 'a' again"),
        ("landmarks", tsv(POINTS, "n/a 1 2 3"), "line 2, name: found none"),
        ("landmarks", tsv(POINTS + " side", "a 1 2 3 up"), "line 2, side: found 'up'"),
        ("spheres", tsv(POINTS, "a 1 2 3"), "no column radius_mm"),
        ("spheres", tsv(POINTS + " radius_mm", "a 1 2 3 0"), "found '0', expected a number above"),
        ("spheres", tsv(POINTS + " radius_mm", "a 1 2 3 n/a"), "radius_mm: found 'n/a'"),
        ("vials", tsv(POINTS, "a 1 2 3"), "no column of concentrations"),
        ("vials", tsv(POINTS + " concentration_mM", "a 1 2 3 5"), "no column of concentrations"),
        (
            "vials",
            tsv(POINTS + " concentration_mmol_per_l concentration_mol_per_l", "a 1 2 3 5 5"),
            "concentration_mmol_per_l and concentration_mol_per_l",
        ),
        ("vials", tsv(POINTS + " concentration_mmol_per_l", "a 1 2 3 -5"), "a number from 0 on"),
        ("vials", tsv(POINTS + " concentration_mmol_per_l", "a 1 2 3 n/a"), "line 2, conc"),
        (
            "vials",
            tsv(POINTS + " concentration_mmol_per_l short_fraction", "a 1 2 3 5 60"),
            "short_fraction: found '60', expected a number from 0 to 1",
        ),
    ],
)
def test_a_mistake_is_refused_with_its_line(role, text, words, check):
    assert words in refusal(check, role, text)


# --- 3D Slicer's markups --------------------------------------------------------------------------


def markups(*points, **more):
    return json.dumps({"markups": [{"type": "Fiducial", "controlPoints": list(points)} | more]})


POINT = {"label": "mcp1", "position": [1, 2.5, -3]}


@pytest.mark.parametrize(
    "text",
    [
        markups(POINT),
        markups(POINT, coordinateSystem="RAS", coordinateUnits="mm"),
        markups(POINT, {"label": "", "position": [0, 0, 0], "positionStatus": "undefined"}),
    ],
)
def test_markups_of_slicer_are_taken(text, check):
    check("landmarks", text, "landmarks.mrk.json")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "no JSON"),
        ("[]", "no list 'markups'"),
        ('{"markups": [3]}', "markups[0]: found no list 'controlPoints'"),
        (markups(), "no point with a position"),
        (markups(3), "markups[0].controlPoints[0]: found no object"),
        (markups(POINT, POINT), "controlPoints[1].label: found 'mcp1'"),
        (markups(POINT | {"label": ""}), "label: found none"),
        (markups(POINT | {"position": [1, 2]}), "position: found [1, 2]"),
        (markups(POINT | {"position": [1, 2, True]}), "three numbers"),
        (markups(POINT | {"position": [1, 2, 10**400]}), "three numbers"),
        (markups(POINT, coordinateSystem="IJK"), "coordinateSystem: found 'IJK'"),
        (markups(POINT, coordinateUnits="m"), "coordinateUnits: found 'm'"),
        (markups(POINT | {"positionStatus": "undefined"}), "no point with a position"),
    ],
)
def test_markups_with_a_mistake_are_refused_with_its_place(text, words, check):
    assert words in refusal(check, "landmarks", text, "landmarks.mrk.json")


# --- labels ---------------------------------------------------------------------------------------


def nifti(shape=(4, 5, 6), dtype=np.uint8):
    return nibabel.Nifti1Image(np.ones(shape, dtype), np.eye(4)).to_bytes()


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (nifti(), "labels.nii"),
        (nifti((4, 5, 6, 1)), "labels.nii"),
        (gzip.compress(nifti(dtype=np.int16)), "labels.nii.gz"),
        (nibabel.Nifti2Image(np.ones((2, 2, 2), np.uint8), np.eye(4)).to_bytes(), "labels.nii"),
    ],
    ids=["8 bits", "one volume", "packed", "NIfTI-2"],
)
def test_label_images_are_taken(data, name, check):
    check("labels", data, name)


@pytest.mark.parametrize(
    ("data", "name", "words"),
    [
        (b"", "labels.nii.gz", "no NIfTI"),
        (b"", "labels.nii", "no NIfTI"),
        (b"\x89HDF\r\n\x1a\n" + bytes(999), "labels.nii", "no NIfTI"),
        (nifti()[:70] + b"\x7f\x7f" + nifti()[72:], "labels.nii", "no NIfTI"),
        (nifti()[:-1], "labels.nii", "found 471 bytes, expected 472, by its header"),
        (gzip.compress(nifti())[:-12], "labels.nii.gz", "no NIfTI"),
        (gzip.compress(nifti()[:-1]), "labels.nii.gz", "found 471 bytes"),
        (nifti((4, 5)), "labels.nii", "shape (4, 5), expected three dimensions"),
        (nifti((4, 5, 6, 2)), "labels.nii", "three dimensions"),
        (nifti(), "labels.nrrd", "the name labels.nrrd, expected a NIfTI"),
    ],
    ids=[
        *("nothing, packed", "nothing", "HDF5", "odd header", "cut", "packing cut", "cut, packed"),
        *("a plane", "two volumes", "another format"),
    ],
)
def test_what_is_no_label_image_is_refused(data, name, words, check, capfd):
    assert words in refusal(check, "labels", data, name)
    assert capfd.readouterr().err == ""  # nibabel has nothing to add to the one line
