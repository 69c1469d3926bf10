"""Reading exam.toml: what is taken, and how each mistake is refused."""

import json
import os
from pathlib import Path

import pytest

from ultrahand.cli.arguments import SERIES_OPTIONS
from ultrahand.errors import InputError, UsageError
from ultrahand.io.exam_file import INPUT_FUNCTIONS, KINDS, read_exam
from ultrahand.io.toml_table import MAX_BYTES, MAX_LABEL

OPTIONS = ("method", "parts", "frame-time", "noise")
HEAD = '[exam]\nsubject = "01"\nsession = "a1"\nhand = "left"\n'
SERIES = '[[series]]\nname = "T1"\nkind = "morphology"\nfile = "t1.h5"\n'


@pytest.fixture
def folder(tmp_path):
    for name in ("t1.h5", "more.h5", "aif.tsv"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "landmarks.tsv").write_text("name\tx_mm\ty_mm\tz_mm\nmcp1\t1\t-2.5\t3e1\n")
    (tmp_path / "vials.tsv").write_text(
        "name\tx_mm\ty_mm\tz_mm\tconcentration_mmol_per_l\nvial1\t1\t2\t3\t50\n"
    )
    (tmp_path / "dicom").mkdir()
    return tmp_path


@pytest.fixture
def read(folder):
    def of(text):
        path = folder / "exam.toml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_exam(path, option_names=OPTIONS)

    return of


def refusal(read, text):
    with pytest.raises(InputError) as caught:
        read(text)
    assert caught.value.exit_code == 3
    assert caught.value.file in ("exam.toml", "t1.h5")
    assert caught.value.remedy
    return caught.value


# --- what is taken --------------------------------------------------------------------------------


def test_everything_is_read(read, folder):
    exam = read(
        '[exam]\nsubject = "S07"\nsession = "2"\nhand = "both"\nlandmarks = "landmarks.tsv"\n'
        'vials = "vials.tsv"\nprotocol = "hand 7 T, version 3"\n'
        + SERIES
        + '[series.options]\nmethod = "fft"\nframe-time = 2.5\n'
        '[[series]]\nname = "dce-1"\nkind = "dynamic"\nfile = "more.h5"\naif = "parker"\n'
        'reference = "T1"\n'
        '[[series]]\nname = "hand_ct"\nkind = "ct"\nfile = "dicom"\naif = "aif.tsv"\n'
    )
    assert (exam.subject, exam.session, exam.hand) == ("S07", "2", "both")
    assert exam.protocol == "hand 7 T, version 3"
    assert exam.landmarks == folder / "landmarks.tsv"
    assert (exam.labels, exam.spheres) == (None, None)
    first, second, third = exam.series
    assert (first.name, first.kind, first.file) == ("T1", "morphology", folder / "t1.h5")
    assert first.written == "t1.h5"
    assert dict(first.options) == {"method": "fft", "frame-time": 2.5}
    assert (second.aif, second.reference, second.label) == ("parker", "T1", "dce1")
    assert (third.aif, third.label) == (folder / "aif.tsv", "handct")
    assert dict(second.options) == {}
    names = {path.name for path in exam.files}
    expected = "exam.toml landmarks.tsv vials.tsv t1.h5 more.h5 dicom aif.tsv"
    assert names == set(expected.split())


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_taken(kind, read):
    assert read(HEAD + SERIES.replace("morphology", kind)).series[0].kind == kind


@pytest.mark.parametrize("name", INPUT_FUNCTIONS)
def test_an_input_function_by_name_needs_no_file(name, read):
    assert read(f'{HEAD}{SERIES}aif = "{name}"\n').series[0].aif == name


def test_an_absolute_path_stays_one(read, folder):
    exam = read(HEAD + SERIES.replace("t1.h5", str(folder / "more.h5")))
    assert exam.series[0].file == folder / "more.h5"


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (HEAD, "[[series]]: found none"),
        (SERIES, "[exam]: found none"),
        ("series = 3\n" + HEAD, "[[series]]"),
        (HEAD + "[series]\nname = 'T1'\n", "[[series]]"),
        ("exam = 3\n" + SERIES, "[exam]: found a number"),
        (HEAD.replace('session = "a1"\n', "") + SERIES, "[exam], session: found none"),
        (HEAD.replace('"01"', "1") + SERIES, "subject: found a number, expected text in quotes"),
        (HEAD.replace('"01"', "1979-05-27") + SERIES, "subject: found a date"),
        (HEAD.replace('"01"', '" "') + SERIES, "subject: found empty text"),
        (HEAD.replace("left", "righ") + SERIES, "did you mean 'right'?"),
        (HEAD.replace("hand =", "hnad =") + SERIES, "hnad: found an unknown key"),
        (HEAD.replace("hand =", "hnad =") + SERIES, "did you mean 'hand'?"),
        (HEAD + SERIES + "[results]\n", "exam.toml, results"),
        (HEAD + SERIES + 'fiel = "t1.h5"\n', "did you mean 'file'?"),
        (HEAD + SERIES.replace("morphology", "morfology"), "did you mean 'morphology'?"),
        (HEAD + SERIES.replace("morphology", "quux"), "expected morphology, multiecho"),
        (HEAD + SERIES.replace("t1.h5", "t2.h5"), "series 'T1', file: found no such file: t2.h5"),
        (HEAD + SERIES.replace("t1.h5", "t1.h5/in"), "no such file"),
        (HEAD + SERIES.replace("t1.h5", "dicom"), "no regular file: dicom"),
        (HEAD + SERIES.replace("t1.h5", "a\\u0000b"), "no file name"),
        (HEAD + SERIES.replace("t1.h5", "n" * 300), "too long"),
        (HEAD + 'vials = "none.tsv"\n' + SERIES, "[exam], vials: found no such file"),
        (HEAD + SERIES + 'aif = "Parker"\n', "did you mean 'parker'?"),
        (HEAD + SERIES + 'aif = "none.tsv"\n', "aif: found no such file: none.tsv"),
        (
            HEAD + SERIES + 'aif = "more.h5"\n',
            "expected parker, georgiou, weinmann, or a file .tsv",
        ),
        (HEAD + SERIES.replace("t1.h5", "aif.tsv") + 'aif = "aif.tsv"\n', "the file of the series"),
        (HEAD + SERIES + 'reference = "T1"\n', "series 'T1', reference: found the series itself"),
        (HEAD + SERIES + 'reference = "./t1.h5"\n', "reference: found the series itself"),
        (HEAD + 'landmarks = "t1.h5"\n' + SERIES, "line 1: found no column name in 'x'"),
        (HEAD + SERIES + 'reference = "T2"\n', "reference: found no such file: T2"),
        (HEAD + SERIES + "options = 3\n", "series 'T1', options: found a number"),
        (HEAD + SERIES + 'options = {metod = "fft"}\n', "did you mean 'method'?"),
        (HEAD + SERIES + "options = {frame_time = 2}\n", "did you mean 'frame-time'?"),
        (HEAD + SERIES + 'options = {output = "x"}\n', "options, output: found an unknown key"),
        (HEAD + SERIES + "options = {method = [1]}\n", "options.method: found a list"),
        (HEAD + SERIES + "options = {method = {a = 1}}\n", "options.method: found a table"),
        (HEAD + SERIES + SERIES, "found 'T1' beside 'T1'"),
        (HEAD + SERIES + SERIES.replace("T1", "t-1"), "found 't-1' beside 'T1'"),
        (HEAD + SERIES.replace('"T1"', '"T 1"'), "letters and digits, with - and _"),
        (HEAD + SERIES.replace('"T1"', '"../T1"'), "letters and digits, with - and _"),
        (HEAD + SERIES.replace('"T1"', '"-_-"'), "letters and digits, with - and _"),
        (HEAD + SERIES.replace('"T1"', f'"{"T" * (MAX_LABEL + 1)}"'), "at most 64"),
        (HEAD + SERIES.replace('"T1"', f'"T{"-" * MAX_LABEL}"'), "at most 64"),
        (HEAD + SERIES.replace("[[series]]", "[series]"), "write [[series]]"),
        (HEAD + SERIES.replace("name", "nam"), "[[series]] 1, name: found none"),
        ("", "found nothing in it"),
        (" \n\n", "found nothing in it"),
        ("# comment\n", "[exam]: found none"),
        (HEAD + "subject = 'again'\n", "line 5"),
        ("[exam]\nsubject = \n", "line 2"),
        ("\x00\x01", "no TOML"),
        ("x = " + "[" * 100_000, "brackets without end"),
        (b"[exam]\n# \xff\n", "bytes in line 2 that are no UTF-8"),
        (b"#" * (MAX_BYTES + 1), "more than 1048576 bytes"),
        (b"\x89HDF\r\n\x1a\n" + bytes(100), "no UTF-8"),
    ],
)
def test_a_mistake_is_refused_with_its_place(text, words, read):
    assert words in str(refusal(read, text))


@pytest.mark.parametrize("name", ["Müller", "Hans-Peter", "Hans Peter", "M\\u0000", "a/b", ".."])
@pytest.mark.parametrize("key", ["subject", "session"])
def test_a_label_that_may_be_a_name_is_refused_and_not_shown(key, name, read):
    value = {"subject": "01", "session": "a1"}[key]
    said = str(refusal(read, HEAD.replace(f'"{value}"', f'"{name}"') + SERIES))
    assert f"[exam], {key}" in said
    assert "pseudonym" in said
    assert name not in said.replace("..,", "")


def test_a_missing_exam_file_is_wrong_use(tmp_path):
    with pytest.raises(UsageError, match=r"exam\.toml: no such file"):
        read_exam(tmp_path / "exam.toml", option_names=OPTIONS)


def test_a_folder_or_pipe_is_refused_and_does_not_hang(tmp_path):
    (tmp_path / "exam.toml").mkdir()
    os.mkfifo(tmp_path / "pipe.toml")
    for name in ("exam.toml", "pipe.toml"):
        with pytest.raises(InputError, match="no regular file"):
            read_exam(tmp_path / name, option_names=OPTIONS)


def test_a_series_that_is_a_pipe_is_refused(read, folder):
    os.mkfifo(folder / "pipe")
    assert "no regular file: pipe" in str(refusal(read, HEAD + SERIES.replace("t1.h5", "pipe")))


def test_the_example_of_the_guide_is_taken(tmp_path):
    """With files of the names that stand in it, and every option known."""
    guide = (Path(__file__).parents[2] / "docs" / "exam.md").read_text(encoding="utf-8")
    (tmp_path / "exam.toml").write_text(guide.split("```toml\n")[1].split("```")[0])
    table = guide.split("```\nname")[1].split("```")[0]
    (tmp_path / "vials.tsv").write_text(f"name{table}")
    point = {"label": "mcp1", "position": [1, 2, 3]}
    markups = {"markups": [{"type": "Fiducial", "controlPoints": [point]}]}
    (tmp_path / "landmarks.mrk.json").write_text(json.dumps(markups))
    for name in ("noise", "gre", "vfa", "sodium", "session"):
        (tmp_path / f"{name}.h5").touch()
    exam = read_exam(tmp_path / "exam.toml", option_names=SERIES_OPTIONS)
    assert [s.name for s in exam.series] == ["noise", "anatomy", "t1", "sodium", "dce"]
    for kind in KINDS:
        assert f"`{kind}`" in guide
    for option in SERIES_OPTIONS:
        assert f"`{option}`" in guide
