"""``ultrahand bench`` from outside."""

import json
import os
import subprocess
import sys
from importlib import import_module

import pytest

from ultrahand.bench.catalogue import PEERS, PROBLEMS, choose
from ultrahand.errors import UsageError


def bench(*arguments, folder):
    environment = os.environ | {"TMPDIR": str(folder / "tmp")}
    (folder / "tmp").mkdir(exist_ok=True)
    done = subprocess.run(
        [sys.executable, "-m", "ultrahand", "bench", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert not [p for p in (folder / "tmp").iterdir() if p.name.startswith("ultrahand-bench")]
    return done


def test_json_and_files(tmp_path):
    arguments = ["adjoint-64", "--peer", "finufft", "--size", "tiny", "--threads", "1"]
    done = bench(*arguments, "-o", ".", "--json", "-q", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    content = json.loads(done.stdout)
    assert json.loads((tmp_path / "bench.json").read_text()) == content
    assert [row["engine"] for row in content["rows"]] == ["ultrahand", "finufft"]
    assert content["rows"][0]["threads"] == 1
    assert {goal["problem"] for goal in content["goals"]} == {"adjoint-64"}
    assert (tmp_path / "bench.png").read_bytes().startswith(b"\x89PNG")
    assert "| ultrahand |" in (tmp_path / "bench.md").read_text()
    again = bench("normal", "-o", ".", folder=tmp_path)
    assert again.returncode == 2
    assert again.stderr == "ultrahand: bench.json exists; use --force to replace it\n"


def test_an_unknown_peer(tmp_path):
    done = bench("--peer", "nobody", folder=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("ultrahand: no peer is called 'nobody'; there are: finufft")


def test_an_unknown_problem(tmp_path):
    done = bench("nothing", folder=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("ultrahand: no problem is called 'nothing'; there are: normal-64")
    assert done.stderr.count("\n") == 1


def test_every_peer_has_a_name_to_ask_for():
    modules = [import_module(PROBLEMS[name]).PROBLEMS[name] for name in PROBLEMS]
    named = {engine.name for problem in modules for engine in problem.engines}
    assert named == {*PEERS, "ultrahand"}


def test_names():
    assert choose([]) == list(PROBLEMS)
    assert choose(["espirit", "normal"]) == ["normal-64", "normal-96", "espirit"]
    assert choose(["normal-96"]) == ["normal-96"]
    with pytest.raises(UsageError, match="'norm'"):
        choose(["norm"])
