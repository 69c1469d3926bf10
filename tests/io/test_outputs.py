import errno
import os
from pathlib import Path

import pytest

from ultrahand.errors import ResourceError, UsageError
from ultrahand.io.outputs import PREFIX, OutputSet, is_same_file


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def begin(folder, *endings, force=False, inputs=()):
    outputs = OutputSet(force=force, inputs=inputs)
    for ending in endings:
        outputs.claim(folder / ending).write_bytes(ending.encode())
    return outputs


def test_nothing_is_in_its_place_before_all_is_complete(tmp_path):
    with begin(tmp_path, "a.nii.gz", "a.json") as outputs:
        assert not {"a.nii.gz", "a.json"} & set(names(tmp_path))
        outputs.commit()
        assert names(tmp_path) == ["a.json", "a.nii.gz"]
    assert (tmp_path / "a.json").read_bytes() == b"a.json"


def test_places_come_back_in_the_order_they_were_claimed(tmp_path):
    with begin(tmp_path, "b", "a", "c") as outputs:
        assert outputs.commit() == [tmp_path / name for name in "bac"]


def test_temporary_files_name_the_process(tmp_path):
    """So that its parent can sweep them."""
    with begin(tmp_path, "a.nii.gz"):
        assert names(tmp_path)[0].startswith(f"{PREFIX}{os.getpid()}-")


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError, SystemExit])
def test_what_was_begun_goes_when_the_work_fails(error, tmp_path):
    with pytest.raises(error), begin(tmp_path, "a", "b"):
        raise error
    assert names(tmp_path) == []


def test_what_was_not_committed_goes(tmp_path):
    with begin(tmp_path, "a", "b"):
        pass
    assert names(tmp_path) == []


def test_existing_files_stay_when_the_work_fails(tmp_path):
    (tmp_path / "a").write_bytes(b"before")
    with pytest.raises(RuntimeError), begin(tmp_path, "a", force=True):
        raise RuntimeError
    assert (tmp_path / "a").read_bytes() == b"before"


def test_a_claim_that_was_never_written_leaves_nothing(tmp_path):
    with OutputSet(force=False, inputs=[]) as outputs:
        outputs.claim(tmp_path / "a")
    assert names(tmp_path) == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_a_lack_of_resources(number, tmp_path):
    with pytest.raises(ResourceError, match="disk is full"), begin(tmp_path, "a"):
        raise OSError(number, "no space")
    assert names(tmp_path) == []


def test_other_errors_of_the_system_stay_what_they_are(tmp_path):
    with pytest.raises(OSError, match="odd"), begin(tmp_path, "a"):
        raise OSError(errno.EIO, "odd")


def test_when_the_last_of_two_cannot_be_placed_nothing_temporary_stays(tmp_path):
    with begin(tmp_path, "a", "b", force=True) as outputs:
        (tmp_path / "b" / "c").mkdir(parents=True)
        with pytest.raises(OSError, match="directory"):
            outputs.commit()
    assert names(tmp_path) == ["a", "b"]


# --- what cannot be claimed -----------------------------------------------------------------------


def refusal(path, *, force=False, inputs=()):
    with OutputSet(force=force, inputs=inputs) as outputs, pytest.raises(UsageError) as caught:
        outputs.claim(path)
    assert path.name[:40] in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("make", [lambda p: p.write_bytes(b"x"), lambda p: p.symlink_to("nowhere")])
def test_an_existing_name_needs_force(make, tmp_path):
    make(tmp_path / "a")
    assert "--force" in refusal(tmp_path / "a")
    with begin(tmp_path, "a", force=True) as outputs:
        outputs.commit()
    assert (tmp_path / "a").read_bytes() == b"a"


@pytest.mark.parametrize("force", [False, True])
def test_an_input_is_never_an_output(force, tmp_path):
    given = tmp_path / "given"
    given.write_bytes(b"data")
    (tmp_path / "soft").symlink_to("given")
    (tmp_path / "hard").hardlink_to(given)
    for name in ("given", "soft", "hard"):
        assert "never overwritten" in refusal(tmp_path / name, force=force, inputs=[given])


def test_a_folder_is_no_output(tmp_path):
    assert "is a folder" in refusal(tmp_path, force=True)


@pytest.mark.parametrize("name", ["none/a", "file/a", "circle/a", "a" * 300, "circle"])
def test_a_place_that_cannot_be_is_no_output(name, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "circle").symlink_to("circle")
    refusal(tmp_path / name)


def test_files_are_the_same_through_links(tmp_path):
    (tmp_path / "a").write_bytes(b"")
    (tmp_path / "b").write_bytes(b"")
    (tmp_path / "link").symlink_to("a")
    assert is_same_file(tmp_path / "a", tmp_path / "link")
    assert not is_same_file(tmp_path / "a", tmp_path / "b")
    assert not is_same_file(tmp_path / "a", tmp_path / "none")
    assert not is_same_file(tmp_path / "none", tmp_path / "none")


@pytest.mark.parametrize("links", [True, False], ids=["hard links", "none"])
def test_an_output_that_another_run_has_made_meanwhile_stays(tmp_path, monkeypatch, links):
    if not links:
        monkeypatch.setattr(Path, "hardlink_to", refuse_links)
    first, second = tmp_path / "a.nii", tmp_path / "a.json"
    with OutputSet(force=False, inputs=[]) as outputs:
        outputs.claim(first).write_text("ours")
        outputs.claim(second).write_text("ours")
        second.write_text("theirs")
        with pytest.raises(UsageError, match="another run"):
            outputs.commit()
    assert second.read_text() == "theirs"
    assert list(tmp_path.iterdir()) == [second]


def refuse_links(*_):
    raise PermissionError(1, "no hard links here")
