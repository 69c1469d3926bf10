"""What holds for the house as a whole."""

import subprocess
import sys

import pytest

HEAVY = ("numpy", "scipy", "numba", "h5py", "nibabel", "ismrmrd", "sigpy", "finufft", "matplotlib")


def loaded_by(code):
    """Return which heavy packages some code loads in a fresh interpreter."""
    listing = f"import sys\n{code}\nprint(*[n for n in {HEAVY} if n in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", listing], check=True, capture_output=True, text=True
    )
    return done.stdout.splitlines()[-1].split()


def test_importing_the_package_loads_nothing_heavy():
    assert loaded_by("import ultrahand") == []


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["recon", "-h"], ["check", "-h"]])
def test_help_loads_nothing_heavy(arguments):
    code = (
        "from ultrahand.cli.main import build_parser\n"
        f"try:\n    build_parser().parse_args({arguments})\nexcept SystemExit:\n    pass"
    )
    assert loaded_by(code) == []


def test_checking_a_file_does_not_load_the_compiler():
    """`check` answers quickly: numba alone costs most of a second."""
    assert "numba" not in loaded_by("import ultrahand.cli.check")
    assert "sigpy" not in loaded_by("import ultrahand.cli.recon")
