"""The folder of a simulated examination: asked for before the work, given its name after it."""

from __future__ import annotations

import itertools
import json
import os
import secrets
import shutil
from pathlib import Path
from typing import Final

from ultrahand.cli.explain import is_full_disk
from ultrahand.errors import ResourceError, UsageError
from ultrahand.io.durable import READ_ONLY

HIDDEN: Final = ".ultrahand-{}-"
"""What is being made; `supervise` sweeps it if the run is broken off."""
SUMMARY: Final = "truth/truth.json"
"""How the examination was made, and which files belong to it."""


def asked(name: str, *, force: bool) -> Path:
    """Return the folder to make, if it may be made: before hours of work, not after.

    Parameters
    ----------
    name
        As it was asked for.
    force
        Whether an examination that was made there before may be replaced.

    Raises
    ------
    UsageError
        It is a link, holds files, is where one is, or cannot be read; or it has no parent.
    """
    given = Path(name)
    try:
        if given.is_symlink():
            raise UsageError(f"{given.name} is a link; name the folder itself")
        if not given.parent.is_dir():
            raise UsageError(f"the folder of {given.name} does not exist; make it first")
        folder = given.resolve()
        if Path.cwd().is_relative_to(folder):
            raise UsageError("DIR is the folder in which you are, or holds it; name one to make")
        there = folder.exists() and any(folder.iterdir() if folder.is_dir() else [folder])
        if there and not force:
            raise UsageError(f"{folder.name} exists and is not empty; use --force to replace it")
        others = _others(folder) if there else []
    except OSError as error:
        raise UsageError(f"{given.name} cannot be read ({error.strerror})") from None
    if others:
        words = f"{folder.name} holds {len(others)} files of others ({others[0]}, ...)"
        raise UsageError(f"{words}; move them away or choose another folder")
    return folder


def begin(folder: Path) -> Path:
    """Make the hidden folder beside the one that is asked for.

    Raises
    ------
    ResourceError
        The disk is read-only, or permissions make it so.
    UsageError
        There can be no such folder, as its name is too long.
    """
    made = folder.parent / f"{HIDDEN.format(os.getpid())}{secrets.token_hex(4)}"
    try:
        made.mkdir()
    except OSError as error:
        if is_full_disk(error):
            raise
        words = f"the folder of {folder.name} cannot be written ({error.strerror})"
        if error.errno in READ_ONLY:
            raise ResourceError(f"{words}; allow writing there or choose another") from None
        raise UsageError(words) from None
    return made


def put(made: Path, folder: Path, *, force: bool) -> None:
    """Give the made folder its name; what was there before stays until then.

    Parameters
    ----------
    made
        The complete examination.
    folder
        What it shall be called.
    force
        Whether an examination that was made there before may be replaced.

    Raises
    ------
    UsageError
        It cannot be called so any more. The work of hours is not thrown away: it is kept beside
        the folder under another name.
    """
    try:
        reason = _taken(folder, force=force)
        if not reason:
            _replace(made, folder)
    except OSError as error:
        reason = f"cannot be written ({error.strerror})"
    if reason:
        raise UsageError(
            f"{folder.name} {reason} and is left as it is; the new examination is complete and "
            f"lies beside it in {_keep(made, folder).name}"
        )


def files_of(folder: Path) -> list[str]:
    """Return the names of all that lies in a folder and is no folder, or of a lone file."""
    if not folder.is_dir():
        return [folder.name]
    inside = (path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())
    return sorted(path.relative_to(folder).as_posix() for path in inside)


def _others(folder: Path) -> list[str]:
    """Return what lies in a folder beside the files of an examination that was made there."""
    try:
        ours = set(json.loads((folder / SUMMARY).read_text(encoding="utf-8"))["files"])
    except (OSError, ValueError, KeyError, TypeError):
        ours = set()
    return [name for name in files_of(folder) if name not in ours]


def _taken(folder: Path, *, force: bool) -> str:
    """Say what came into a folder's place while the examination was made; nothing: it is free."""
    if folder.is_symlink():
        return "is a link by now"
    files = files_of(folder) if folder.exists() else []
    if files and not force:
        return f"has files by now ({files[0]}, ...)"
    others = _others(folder) if files else []
    return f"has new files of others ({others[0]}, ...)" if others else ""


def _replace(made: Path, folder: Path) -> None:
    if not folder.exists():
        made.replace(folder)
        return
    before = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.before")
    folder.replace(before)
    try:
        made.replace(folder)
    except OSError:
        before.replace(folder)
        raise
    shutil.rmtree(before, ignore_errors=True)


def _keep(made: Path, folder: Path) -> Path:
    """Give the made folder the next free name: ``exam.new``, ``exam.new2`` ..."""
    for number in itertools.count(1):
        beside = folder.with_name(f"{folder.name}.new{number if number > 1 else ''}")
        if not os.path.lexists(beside):
            break
    try:
        return made.replace(beside)
    except OSError:
        return made  # no name can be given here: it stays under its hidden one
