import os
import shutil
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest


@pytest.fixture
def rng(request):
    """Seeded by the test's own name: every test differs and none flakes."""
    return np.random.default_rng(crc32(request.node.name.encode()))


@pytest.fixture(scope="session")
def real_data():
    """Folder of the real data sets; without it the tests that need it skip."""
    place = os.environ.get("ULTRAHAND_TEST_DATA")
    if not place or not Path(place).is_dir():
        pytest.skip("ULTRAHAND_TEST_DATA does not name the folder of the real data sets")
    return Path(place)


@pytest.fixture(scope="session")
def program():
    """Find an installed program of another toolkit, or skip."""

    def find(name):
        path = shutil.which(name)
        if path is None:
            pytest.skip(f"{name} is not installed (Debian: bart, ismrmrd-tools)")
        return path

    return find
