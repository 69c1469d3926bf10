"""A folder of derivatives as BIDS describes it (version 1.11.0, bids-specification.readthedocs.io).

``dataset_description.json`` says that the folder is ours.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection
from pathlib import Path
from typing import Final

from ultrahand.errors import UsageError
from ultrahand.io.outputs import is_same_file

BIDS_VERSION: Final = "1.11.0"
DESCRIPTION: Final = "dataset_description.json"
_MAKER: Final = "ultrahand"
_MAX_BYTES: Final = 2**20


def description(version: str) -> str:
    """Return the text of `DESCRIPTION` for one version of ultrahand."""
    fields = {
        "Name": "ultrahand examination",
        "BIDSVersion": BIDS_VERSION,
        "DatasetType": "derivative",
        "GeneratedBy": [{"Name": _MAKER, "Version": version}],
    }
    return json.dumps(fields, indent=2) + "\n"


def check_folder(folder: Path, *, force: bool, besides: Collection[Path], hidden: str) -> None:
    """Refuse a folder that cannot take an examination.

    Parameters
    ----------
    folder
        Where it shall stand; may be missing, but not the folder above it.
    force
        Whether a folder of others is taken too; never another data set.
    besides
        Files that do not count, such as the log.
    hidden
        Name in it that does not count either: the store's own, made before anything else.

    Raises
    ------
    UsageError
        No folder, one that cannot be written, or one that holds files of others.
    """
    name = folder.name or str(folder)
    try:
        if not os.path.lexists(folder):
            if not folder.parent.is_dir():
                raise UsageError(f"the folder of {name} does not exist; make it first")
            return
        if not folder.is_dir():
            raise UsageError(f"{name} is a file; give a folder with -o")
        found = [path for path in folder.iterdir() if path.name != hidden]
    except OSError as error:
        raise UsageError(f"{name} cannot be used ({error.strerror}); choose another -o") from None
    if os.path.lexists(folder / DESCRIPTION) and not _is_ours(folder / DESCRIPTION):
        raise UsageError(
            f"{name} holds another data set, whose {DESCRIPTION} is not of ultrahand; choose "
            "another -o"
        )
    others = [path for path in found if not any(is_same_file(path, own) for own in besides)]
    if others and not force and not _is_ours(folder / DESCRIPTION):
        raise UsageError(
            f"{name} holds files of others; choose an empty -o, or put up with them by --force"
        )


def _is_ours(path: Path) -> bool:
    try:
        if path.stat().st_size > _MAX_BYTES:
            return False
        makers = json.loads(path.read_bytes())["GeneratedBy"]
        return any(maker["Name"] == _MAKER for maker in makers)
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return False
