"""The viewer's program: NiiVue, as published, held to its hash."""

from __future__ import annotations

import hashlib
from importlib.resources import files

from ultrahand.errors import UltrahandError

NAME = "NiiVue"
VERSION = "0.69.0"
SOURCE = "npm package @niivue/niivue, file dist/niivue.umd.js"
LICENCE = "BSD-2-Clause"
SHA256 = "47b896b77ec4a5be3ef1949c33ad393b6f45629921f326c279000bcf51bdb4af"
_FILE = f"vendor/niivue-{VERSION}.umd.js"


def niivue_script() -> str:
    """Return the text of the program.

    Raises
    ------
    UltrahandError
        The file is not the one that was checked in.
    """
    data = files("ultrahand.report").joinpath(_FILE).read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != SHA256:
        raise UltrahandError(
            f"{_FILE}: found sha256 {found}, expected {SHA256}; install ultrahand again"
        )
    return data.decode("utf-8")


def niivue_licences() -> str:
    """Return the licences of the program and of what it holds, which go wherever it goes."""
    return files("ultrahand.report").joinpath("vendor/LICENSES.txt").read_text("utf-8")
