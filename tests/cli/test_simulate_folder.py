"""The folder of a simulated examination: what is refused, and that no finished work is lost."""

import errno
import os
import re

import pytest

from ultrahand.cli import simulate_folder
from ultrahand.cli.simulate_folder import SUMMARY, begin, put
from ultrahand.errors import ResourceError, UsageError


@pytest.fixture
def made(tmp_path):
    """A complete examination under its hidden name."""
    return examination(begin(tmp_path / "exam"), "new")


def examination(folder, content):
    (folder / "truth").mkdir(parents=True, exist_ok=True)
    (folder / SUMMARY).write_text('{"files": ["exam.toml", "truth/truth.json"]}')
    (folder / "exam.toml").write_text(content)
    return folder


def seen(folder):
    return {path.name for path in folder.iterdir()}


def content(folder):
    return (folder / "exam.toml").read_text()


@pytest.mark.parametrize("there", ["nothing", "an empty folder", "an examination"])
def test_the_made_folder_takes_its_place(there, made, tmp_path):
    folder = tmp_path / "exam"
    if there != "nothing":
        folder.mkdir()
    if there == "an examination":
        examination(folder, "old")
    put(made, folder, force=there == "an examination")
    assert content(folder) == "new"
    assert seen(tmp_path) == {"exam"}


def others(folder):
    folder.mkdir()
    (folder / "notes.txt").write_text("mine")


def another_run(folder):
    examination(folder, "another")


def linked(folder):
    folder.symlink_to("elsewhere")


@pytest.mark.parametrize(
    ("meanwhile", "force", "words"),
    [
        (others, False, "exam has files by now (notes.txt, ...)"),
        (others, True, "exam has new files of others (notes.txt, ...)"),
        (another_run, False, "exam has files by now (exam.toml, ...)"),
        (linked, True, "exam is a link by now"),
    ],
)
def test_what_came_meanwhile_stays_and_the_work_too(meanwhile, force, words, made, tmp_path):
    folder = tmp_path / "exam"
    meanwhile(folder)
    before = folder.lstat()
    (tmp_path / "exam.new").mkdir()
    with pytest.raises(UsageError, match=re.escape(words)) as refused:
        put(made, folder, force=force)
    assert "lies beside it in exam.new2" in str(refused.value)
    assert content(tmp_path / "exam.new2") == "new"
    assert folder.lstat() == before
    assert seen(tmp_path) == {"exam", "exam.new", "exam.new2"}


def test_a_name_that_cannot_be_given_loses_nothing(made, tmp_path, monkeypatch):
    folder = examination(tmp_path / "exam", "old")

    def refuse(*_):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(simulate_folder, "_replace", refuse)
    with pytest.raises(UsageError, match=r"cannot be written .* lies beside it in exam\.new$"):
        put(made, folder, force=True)
    assert (content(folder), content(tmp_path / "exam.new")) == ("old", "new")


def test_the_old_one_is_back_where_the_new_one_cannot_follow(made, tmp_path, monkeypatch):
    folder = examination(tmp_path / "exam", "old")
    replace = type(made).replace

    def fails_once(path, target):
        if path == made and target == folder:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return replace(path, target)

    monkeypatch.setattr(type(made), "replace", fails_once)
    with pytest.raises(UsageError, match=r"lies beside it in exam\.new$"):
        put(made, folder, force=True)
    assert (content(folder), content(tmp_path / "exam.new")) == ("old", "new")


def test_where_no_name_can_be_given_the_work_stays_under_its_hidden_one(made, tmp_path):
    folder = tmp_path / ("n" * 253)  # too long with .new behind it
    others(folder)
    with pytest.raises(UsageError, match=re.escape(made.name)):
        put(made, folder, force=True)
    assert content(made) == "new"


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.EPERM])
def test_a_parent_that_takes_nothing_is_a_matter_of_the_disk(number, tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(type(tmp_path), "mkdir", refuse)
    with pytest.raises(ResourceError, match="the folder of exam cannot be written"):
        begin(tmp_path / "exam")


def test_a_folder_that_cannot_be_is_wrong_use(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UsageError, match="the folder of exam cannot be written"):
        begin(tmp_path / "file" / "exam")
