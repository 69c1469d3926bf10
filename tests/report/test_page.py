"""The page as a file: text stays text, nothing is loaded, nothing is left unsaid."""

import base64
import hashlib
import os
import re
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from examinations import report_of

from reading import Read
from ultrahand.errors import RecordError, UltrahandError, UsageError
from ultrahand.records import Geometry
from ultrahand.records.findings import info, warning
from ultrahand.report import niivue
from ultrahand.report.content import Report, Section, Status
from ultrahand.report.page import render
from ultrahand.report.planes import planes_png

HOSTILE = (
    """</script></style><script>alert(1)</script>"'><img src=x onerror=alert(2)>--><!-- ]]> &lt;"""
)
DATA_TYPES = ("application/json", "text/plain")


def policy(read):
    (content,) = (
        a["content"]
        for tag, a in read.tags
        if tag == "meta" and a.get("http-equiv") == "Content-Security-Policy"
    )
    return {part.split()[0]: part.split()[1:] for part in content.split(";")}


def test_text_of_any_kind_stays_text():
    benign = "benign".ljust(len(HOSTILE), ".")
    hostile, plain = Read(render(report_of(HOSTILE))), Read(render(report_of(benign)))
    assert hostile.skeleton == plain.skeleton, "no text makes or breaks an element"
    shown, expected = ("".join(r.text).count(t) for r, t in ((hostile, HOSTILE), (plain, benign)))
    assert shown == expected > 40
    assert hostile.inline[-1] == plain.inline[-1]


def test_hostile_volume_names_do_not_leave_their_data():
    read = Read(render(report_of(HOSTILE)))
    (told,) = (data for _, a, data in read.inline if a.get("id") == "volumes")
    assert "<" not in told
    assert told.count("onerror=alert(2)") == 7  # title and image, name, unit, note and two frames


@pytest.mark.parametrize("odd", ["\ud800", "\u202e", "\x00", "\x1b"])
def test_what_cannot_be_printed_is_marked(odd):
    page = render(report_of(f"a{odd}b"))
    page.encode("utf-8")
    assert odd not in page
    assert "a\ufffdb" in page or "a?b" in page


def test_same_report_same_bytes_whatever_the_hash_seed():
    code = (
        "import hashlib; from examinations import report_of;"
        "from ultrahand.report.page import render;"
        "print(hashlib.sha256(render(report_of('a', n=3)).encode()).hexdigest())"
    )
    found = {hashlib.sha256(render(report_of("a", n=3)).encode()).hexdigest()}
    for seed in ("1", "2"):
        path = ":".join(["tests", "tests/report", os.environ.get("PYTHONPATH", "")]).rstrip(":")
        environment = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": path}
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=environment,
            check=True,
            capture_output=True,
            text=True,
        )
        found.add(done.stdout.strip())
    assert len(found) == 1


def test_the_policy_names_what_the_page_runs_and_nothing_else():
    read = Read(render(report_of("a")))
    rules = policy(read)
    for name, directive in (("script", "script-src"), ("style", "style-src")):
        run = [d for tag, a, d in read.inline if tag == name and a.get("type") not in DATA_TYPES]
        digests = [base64.b64encode(hashlib.sha256(d.encode()).digest()).decode() for d in run]
        assert rules.pop(directive) == [f"'sha256-{digest}'" for digest in digests]
        assert len(run) == {"script": 3, "style": 1}[name]
    assert rules == {
        "default-src": ["'none'"],
        "img-src": ["data:"],
        "base-uri": ["'none'"],
        "form-action": ["'none'"],
    }


def test_nothing_is_loaded_and_nothing_runs_from_an_attribute():
    read = Read(render(report_of("a")))
    for tag, name, value in read.attributes:
        if name in ("src", "href", "srcset", "action", "data", "poster", "background"):
            assert value.startswith(("data:image/png;base64,", "#")), (tag, name, value[:80])
        assert not name.startswith("on"), (tag, name)
        assert name != "style", tag
    loading = {"link", "iframe", "object", "embed", "base", "form", "audio", "video", "source"}
    assert loading.isdisjoint(tag for tag, _ in read.tags)
    style = next(data for tag, _, data in read.inline if tag == "style")
    assert not re.search(r"url\(|@import", style)


def test_links_lead_somewhere_and_ids_are_their_own():
    read = Read(render(report_of("a", n=3)))
    ids = [a["id"] for _, a in read.tags if "id" in a]
    assert len(ids) == len(set(ids))
    links = {a["href"].removeprefix("#") for tag, a in read.tags if tag == "a"}
    labels = {a["aria-labelledby"] for _, a in read.tags if "aria-labelledby" in a}
    assert links | labels <= set(ids)
    assert {"series-1", "series-4", "result-1", "overview"} <= links


def test_what_blind_and_keyboard_readers_need_is_there():
    read = Read(render(report_of("a")))
    assert ("html", {"lang": "en"}) in read.tags
    heads = [tag for tag, _ in read.tags if re.fullmatch(r"h[1-6]", tag)]
    assert heads[0] == "h1"
    assert heads.count("h1") == 1
    assert all(int(b[1]) <= int(a[1]) + 1 for a, b in pairwise(heads))
    assert all(a["alt"] for tag, a in read.tags if tag == "img")
    assert all("scope" in a for tag, a in read.tags if tag == "th")
    n_tables = sum(tag == "table" for tag, _ in read.tags)
    assert sum(tag == "caption" for tag, _ in read.tags) == n_tables > 3


def test_verdict_and_findings_come_first():
    twice = warning("flip angle", found="0", expected="> 0", remedy="ask the scanner")
    rule = info("nucleus", found="1H", expected="a nucleus")
    sections = [
        Section(title="first", status=Status.DONE, findings=(rule, twice)),
        Section(title="second", status=Status.DONE, findings=(twice,)),
        Section(title="third", status=Status.FAILED, reason="stopped at readout 9"),
    ]
    results = (Section(title="veins", status=Status.MISSING, reason="no landmarks"),)
    report = Report(title="t", subtitle="s", hand="both", sections=tuple(sections), results=results)
    page = render(report)
    text = " ".join(Read(page).text)
    assert "2 of 3 series done, 1 failed. 0 of 1 result done, 1 missing. 1 warning in" in text
    order = [page.index(f'id="{name}"') for name in ("verdict", "findings", "overview", "series")]
    assert order == sorted(order)
    first = page[order[1] : order[2]]
    assert first.count("flip angle") == 1, "one row, however often it was found"
    assert 'href="#series-1"' in first
    assert 'href="#series-2"' in first
    assert "nucleus" not in first
    for reason in ("stopped at readout 9", "no landmarks"):
        assert page.count(reason) == 2, "in the overview and in its place"


def test_what_is_not_done_needs_a_reason():
    for status in (Status.FAILED, Status.MISSING, Status.SKIPPED):
        with pytest.raises(RecordError, match="needs a reason"):
            Section(title="veins", status=status, reason=" ")


def test_a_page_without_volumes_has_no_viewer():
    report = report_of("a")
    plain = replace(report.sections[0], volume=None)
    page = render(replace(report, sections=(plain,)))
    assert len(page) < 30_000
    assert len(policy(Read(page))["script-src"]) == 1
    assert niivue.VERSION not in page


def test_a_viewer_that_was_changed_is_refused(monkeypatch):
    assert hashlib.sha256(niivue.niivue_script().encode()).hexdigest() == niivue.SHA256
    monkeypatch.setattr(niivue, "SHA256", "0" * 64)
    with pytest.raises(UltrahandError, match="expected 0000"):
        render(report_of("a"))


def test_pages_need_no_matplotlib_but_pictures_do(monkeypatch):
    for name in ("matplotlib", "matplotlib.figure", "matplotlib.backends.backend_agg"):
        monkeypatch.setitem(sys.modules, name, None)
    assert "<img" in render(report_of("a"))
    frame = Geometry(
        shape=(2, 2, 2),
        voxel_size_m=(1e-3, 1e-3, 1e-3),
        position_mm=np.zeros(3),
        read_dir=np.eye(3)[0],
        phase_dir=np.eye(3)[1],
        slice_dir=np.eye(3)[2],
        known=True,
    )
    with pytest.raises(UsageError, match=r"pip install 'ultrahand\[report\]'"):
        planes_png(np.ones((2, 2, 2), np.float32), frame, unit="SNR", title="t")
