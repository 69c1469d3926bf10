import pytest
from commands import ultrahand


@pytest.fixture(scope="session", autouse=True)
def compiled(tmp_path_factory):
    """Kernels are compiled once, as after installation."""
    assert ultrahand("warmup", folder=tmp_path_factory.mktemp("warmup"), wait_s=240).code == 0
