"""Contestants that are right, wrong, slow, absent, or that fall over."""

import json
import os
from pathlib import Path

import pytest

from ultrahand.bench.contest import BenchError, run_problem
from ultrahand.bench.problem import OURS
from ultrahand.bench.table import markdown_table, text_table


@pytest.fixture(autouse=True)
def surroundings(monkeypatch, tmp_path):
    """Let children find the contests, and see what is left of their folders."""
    here = str(Path(__file__).parent)
    monkeypatch.syspath_prepend(here)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([here, os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    yield
    assert not list(tmp_path.iterdir()), "a folder was left behind"


@pytest.fixture
def result():
    return run_problem("contests", "all-kinds", size="tiny", threads=2)


def test_a_contest(result):
    rows = {row.engine: row for row in result.rows}
    assert list(rows) == [OURS, "slow", "wrong", "threads", "large"]
    assert rows[OURS].error == pytest.approx(0, abs=1e-12)
    assert rows["wrong"].error == pytest.approx(0.6)
    assert rows["threads"].error == pytest.approx(0, abs=1e-12)
    # A sleep never ends early; on a busy machine it ends late, but not by ten times.
    assert 0.05 <= rows["slow"].seconds_warm < 0.5
    assert rows["slow"].seconds_first >= 0.05
    assert rows["slow"].calls == 6  # of 0.05 s, until 0.3 s are over
    assert rows[OURS].calls == 9
    assert rows["slow"].cpu_seconds < rows["slow"].seconds_warm / 2  # asleep
    # Its block of 40 MB is on top of what all have: an interpreter with numpy.
    assert 38 < rows["large"].peak_mb - rows[OURS].peak_mb < 60
    assert all(row.threads == 2 and row.version[0].isdigit() for row in result.rows)
    reasons = {missing.engine: missing.reason for missing in result.absent}
    assert reasons["not-installed"] == "No module named 'a_package_that_nobody_has'"
    assert reasons["no-command"] == "the command such-a-program is not on the PATH"
    assert reasons["raises"] == "failed: ZeroDivisionError: division by zero"
    assert reasons["crashes"].startswith("failed: it ended by signal 11")
    assert len(rows) + len(reasons) == 9
    check_goals(result, rows)
    check_printed(result)


def check_goals(result, rows):
    easy, hard, unknown = result.goals
    assert easy.ratio == rows["slow"].seconds_warm / rows[OURS].seconds_warm
    assert easy.met is True
    assert easy.error_limit == rows["wrong"].error
    assert hard.met is False
    assert unknown.met is None
    assert unknown.ratio is None


def check_printed(result):
    content = json.loads(json.dumps(result.as_dict(), allow_nan=False))
    named = "problem engine seconds_first seconds_warm error peak_mb threads version"
    assert set(named.split()) <= set(content["rows"][0])
    assert set("problem peer ratio goal met".split()) <= set(content["goals"][0])
    assert {missing["engine"] for missing in content["absent"]} >= {"raises", "crashes"}
    text = text_table(result, "a machine")
    assert text.startswith("a machine\n")
    assert "absent: crashes (failed: it ended by signal 11" in text
    page = markdown_table(result, "a machine")
    assert page.count("|---") == 9 + 7  # columns of the figures and of the goals


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("ours-fails", "failed: ZeroDivisionError"),
        ("ours-crashes", "failed: it ended by signal 11"),
        ("ours-absent", "No module named"),
    ],
)
def test_ours_must_not_fail(name, words):
    with pytest.raises(BenchError, match=words):
        run_problem("contests", name, size="tiny", threads=1)
