"""Where the outputs of an examination may stand: never in, over or among its inputs."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

from ultrahand.cli.exam_job import Job
from ultrahand.errors import InputError, UsageError, one_line
from ultrahand.io.bids import check_folder
from ultrahand.io.work_store import HIDDEN, WorkStore

CLAIM: Final = f"{HIDDEN}/examination"
"""Whose folder it is, from the first moment on: records come with the first finished series."""


def check_output(
    folder: Path,
    inputs: Collection[Path],
    jobs: Collection[Job],
    logs: Collection[Path],
    *,
    force: bool,
) -> None:
    """Refuse a folder that cannot take the outputs, or where they would be among the inputs.

    Parameters
    ----------
    folder
        Where the examination shall stand.
    inputs
        All that it reads; some may be folders.
    jobs
        What it makes: links in the folder may lead their outputs elsewhere.
    logs
        Files in the folder that do not count.
    force
        Whether a folder of others is taken, and one that holds inputs.

    Raises
    ------
    InputError
        Outputs would lie in an input, or inputs among outputs.
    UsageError
        The folder cannot be used.
    """
    given = [path.resolve() for path in inputs]
    for place in (folder, *{folder / job.folder for job in jobs}):
        real = _resolved(place)
        over = [path for path in given if path in (real, *real.parents)]
        if over:
            raise _overlap(folder, f"it is or lies in the input {one_line(over[0].name)}")
    real = _resolved(folder)
    among = [path for path in given if real in path.parents]
    if among and not force:
        raise _overlap(folder, f"it holds the input {one_line(among[0].name)}")
    check_folder(folder, force=force, besides=logs, hidden=HIDDEN)


def _resolved(place: Path) -> Path:
    try:
        return place.resolve()
    except (OSError, RuntimeError):  # links in a circle
        raise UsageError(
            f"{place.name or place} cannot be used (links in a circle); choose another -o"
        ) from None


def _overlap(folder: Path, found: str) -> InputError:
    return InputError(
        f"-o {folder.name or folder}",
        found=found,
        expected="a folder apart from the inputs",
        remedy="choose another -o",
    )


def refuse_another(store: WorkStore, label: str) -> None:
    """Refuse a folder of another examination, however far that one has come."""
    names = list(store.stages())
    with suppress(OSError, UnicodeDecodeError):  # folders of earlier versions have no claim
        names.insert(0, (store.folder / CLAIM).read_text(encoding="utf-8").strip())
    others = [name for name in names if name and not f"{name}_".startswith(f"{label}_")]
    if others:
        raise UsageError(
            f"{store.folder.name or store.folder} holds another examination "
            f"({one_line(others[0])}); give {label} a folder of its own with -o"
        )


def check_places(store: WorkStore, job: Job) -> None:
    """Refuse files of others where a job's outputs shall stand."""
    naming = job.naming(store.folder / job.folder)
    names: Iterable[str] = ()
    with suppress(OSError):  # no such folder yet
        names = sorted(path.name for path in naming.stem.parent.iterdir())
    for name in names:
        if naming.may_be(name):
            store.check(f"{job.folder}/{name}")
