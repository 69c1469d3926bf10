"""Run the real command and measure it: time, peak memory of all its processes, what it said."""

import hashlib
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

LIMIT_S = 5.0
LIMIT_BYTES = 500 * 10**6

# The peak of a process counts what stood in memory before it became another program; so a small
# process starts the command, not the (large) one that runs the tests.
_LAUNCHER = """
import json, os, sys, time
report, command = sys.argv[1], sys.argv[2:]
start = time.perf_counter()
child = os.posix_spawnp(command[0], command, os.environ)
_, status, usage = os.wait4(child, 0)
with open(report, "w") as file:
    json.dump([os.waitstatus_to_exitcode(status), time.perf_counter() - start, usage.ru_maxrss,
               usage.ru_utime + usage.ru_stime], file)
"""


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str
    seconds: float
    cpu_seconds: float
    peak_bytes: int

    @property
    def json(self):
        return json.loads(self.out)

    def assert_within_limits(self):
        assert "Traceback" not in self.out + self.err
        assert self.peak_bytes < LIMIT_BYTES
        assert self.cpu_seconds < LIMIT_S  # not of the wall: other runs may share the machine

    def the_line(self, name):
        """The single line of a refusal, which names the file."""
        assert self.err.count("\n") == 1, self.err
        assert self.err.startswith("ultrahand: ")
        assert name in self.err
        return self.err


def ultrahand(*arguments, folder, environment=None, program=(), wait_s=60, **options):
    """Run ``ultrahand`` in a folder, with its own empty one for temporary files."""
    temporary = folder / "tmp"
    temporary.mkdir(exist_ok=True)
    report = folder / "usage.json"
    environment = os.environ | {"TMPDIR": str(temporary)} | (environment or {})
    command = [*program, sys.executable, "-m", "ultrahand", *map(str, arguments)]
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(report), *command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=folder,
        env=environment,
        start_new_session=True,
        **options,
    )
    try:
        out, err = process.communicate(timeout=wait_s)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, err = process.communicate()
        raise AssertionError(f"still running after {wait_s} s; it said {err[-500:]!r}") from None
    code, seconds, kilobytes, cpu = json.loads(report.read_text())
    report.unlink()
    assert not list(temporary.iterdir()), "a temporary file was left behind"
    peak = kilobytes * (1 if sys.platform == "darwin" else 1024)
    return Ended(
        code, out.decode(errors="replace"), err.decode(errors="replace"), seconds, cpu, peak
    )


def snapshot(folder):
    """Hash, size and time of change of every file below a folder."""
    found = {}
    for path in sorted(Path(folder).rglob("*")):
        status = path.lstat()
        regular = path.is_file() and not path.is_symlink()
        digest = hashlib.sha256(path.read_bytes()).hexdigest() if regular else None
        found[path.name] = (status.st_ino, status.st_size, status.st_mtime_ns, digest)
    return found
