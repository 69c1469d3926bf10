"""Where kernels are kept, and what happens when the cache is absent, unwritable or broken."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import pytest

from ultrahand import kernels
from ultrahand.kernels.warm import EXAMPLES

uncached = pytest.mark.skipif(
    bool(numba.config.BOUNDSCHECK or numba.config.DISABLE_JIT), reason="nothing is cached"
)

USE_ONE_KERNEL = """
import numpy as np
from ultrahand.kernels import add_squares, cache_folder
out = np.zeros(3, np.float32)
add_squares(np.full((2, 3), 2, np.complex64), out)
assert (out == 8).all(), out
print(cache_folder(), sum(add_squares._compiled.stats.cache_hits.values()))
"""


def run(**environment):
    """The cache folder and the number of kernels loaded from it, in a fresh process."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("NUMBA_", "XDG_"))}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", USE_ONE_KERNEL],
        env={**inherited, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    folder, hits = done.stdout.split()
    return folder, int(hits)


@uncached
def test_cache_is_kept_apart_by_version_and_processor_and_used_again(tmp_path):
    folder, hits = run(XDG_CACHE_HOME=str(tmp_path))
    name = Path(folder).name
    assert folder.startswith(str(tmp_path / "ultrahand"))
    assert name.startswith(f"numba-{numba.__version__}-cpython3")
    assert hits == 0
    assert run(XDG_CACHE_HOME=str(tmp_path)) == (folder, 1)


@uncached
def test_other_sources_have_a_cache_of_their_own_and_those_of_long_ago_are_removed(
    tmp_path, monkeypatch
):
    from ultrahand.kernels import _jit

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")
    first = _jit.cache_folder()
    _jit._sources.cache_clear()
    monkeypatch.setattr(_jit, "sha256", lambda: hashlib.sha256(b"another kernel"))
    second = _jit.cache_folder()
    _jit._sources.cache_clear()
    assert first.name[:-12] == second.name[:-12]
    assert first != second
    assert first.exists()  # an older version may still be in use
    os.utime(first, (0, 0))
    monkeypatch.setattr(_jit, "sha256", lambda: hashlib.sha256(b"a third one"))
    third = _jit.cache_folder()
    _jit._sources.cache_clear()
    assert (first.exists(), second.exists(), third.exists()) == (False, True, True)


@uncached
def test_a_broken_cache_is_made_anew(tmp_path):
    run(XDG_CACHE_HOME=str(tmp_path))
    files = [*tmp_path.rglob("*.nbi"), *tmp_path.rglob("*.nbc")]
    assert len(files) == 2
    for file in files:
        whole = file.read_bytes()
        file.write_bytes(whole[: len(whole) // 2])
        assert run(XDG_CACHE_HOME=str(tmp_path))[1] == 0
        assert run(XDG_CACHE_HOME=str(tmp_path))[1] == 1


def test_an_own_cache_folder_wins(tmp_path):
    folder, _ = run(NUMBA_CACHE_DIR=str(tmp_path / "own"), XDG_CACHE_HOME=str(tmp_path))
    assert folder == str(tmp_path / "own")


def test_kernels_work_where_nothing_can_be_written(tmp_path):
    (tmp_path / "file").write_text("no folder")
    assert run(XDG_CACHE_HOME=str(tmp_path / "file")) == ("None", 0)


def test_checked_kernels_are_never_taken_from_a_cache(tmp_path):
    run(XDG_CACHE_HOME=str(tmp_path))
    assert run(XDG_CACHE_HOME=str(tmp_path), NUMBA_BOUNDSCHECK="1")[1] == 0


def test_warm_up_runs_every_kernel():
    members = {name for name, kernel in vars(kernels).items() if isinstance(kernel, kernels.Kernel)}
    seconds = kernels.warm_up()
    assert set(seconds) == set(EXAMPLES) == members
    assert min(seconds.values()) >= 0


@pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="nothing is compiled")
def test_after_warm_up_nothing_is_compiled(rng):
    from ultrahand.recon.coils import adaptive_combine, root_sum_of_squares
    from ultrahand.recon.normal import normal_operator, spectra_of_mask

    kernels.warm_up()
    compiled = [k for k in vars(kernels).values() if isinstance(k, kernels.Kernel)]
    before = [len(k._compiled.signatures) for k in compiled]
    images = rng.standard_normal((2, 3, 4, 5)).astype(np.complex64)
    for flag in (True, False):
        images.flags.writeable = flag  # records are read-only
        adaptive_combine(images)
        root_sum_of_squares(images)
        normal = normal_operator(spectra_of_mask(np.ones((3, 4, 5))), images[:, None])
        normal.forward(images[:1, None])
    assert [len(k._compiled.signatures) for k in compiled] == before


def test_threads_are_given_back():
    before = numba.get_num_threads()
    with kernels.threads(1):
        assert numba.get_num_threads() == 1
    with kernels.threads(10**6):
        assert numba.get_num_threads() == numba.config.NUMBA_NUM_THREADS
    assert numba.get_num_threads() == before
