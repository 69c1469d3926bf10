import os
import shutil
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest
from hypothesis import settings

# The same examples in every run, so that a change is what turns a test red; `make check-long` looks
# for new ones.
settings.register_profile("steady", derandomize=True, deadline=None)
settings.register_profile("searching", max_examples=2000, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "steady"))


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
