"""Exit codes and words for what ended a command: an error, or a signal that killed its child."""

from __future__ import annotations

import errno
import os
import signal
import traceback
from typing import Final

from ultrahand.errors import (
    EXIT_DEFECT,
    EXIT_RESOURCES,
    InputError,
    ResourceError,
    UltrahandError,
    one_line,
)

_IO: Final = f"{os.sep}ultrahand{os.sep}io{os.sep}"
_READERS: Final = (
    f"{os.sep}h5py{os.sep}",
    *(_IO + name for name in ("hdf5_", "mrd_stream", "read_raw", "trajectory_file", "field_file")),
)
FULL_DISK: Final = "the disk is full; nothing was written: make room or choose another -o"


def explain_error(error: Exception, *, file: str) -> tuple[int, str]:
    """Return the exit code and the words for an error; no words where there is nothing to say.

    Parameters
    ----------
    error
        Ours, or what Python raised by itself: a full disk, no memory, or a defect of ours.
    file
        Name of the command's input, for refusals that do not know their file.
    """
    if isinstance(error, InputError):
        return error.exit_code, f"{one_line(error.file or file)}: {error}"
    if isinstance(error, UltrahandError):
        return error.exit_code, str(error)
    if isinstance(error, BrokenPipeError):
        return 0, ""  # the reader of our output, such as `head`, has seen enough
    if isinstance(error, MemoryError):
        return EXIT_RESOURCES, "out of memory; lower --max-memory so that the work goes in blocks"
    if is_full_disk(error):
        return EXIT_RESOURCES, FULL_DISK
    place = traceback.extract_tb(error.__traceback__)[-1].name
    return EXIT_DEFECT, (
        f"a defect of ultrahand ({type(error).__name__} in {place}); run again with -v and "
        "report the traceback"
    )


def is_full_disk(error: BaseException | None) -> bool:
    """Tell whether an error, or what it was raised from, is that of a full disk."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        error = error.__cause__
    return False


def error_of_signal(number: int, trace: str, name: str) -> UltrahandError:
    """Return what a signal that ended a child stands for.

    Parameters
    ----------
    number
        Of the signal.
    trace
        The child's last traceback.
    name
        Of the file that it read.
    """
    called = signal.Signals(number).name
    if number == signal.SIGKILL:
        return ResourceError("killed (SIGKILL), most likely out of memory; lower --max-memory")
    if number == signal.SIGPROF:
        return _refusal(name, "a structure that sends the reader in circles")
    if any(part in trace for part in _READERS):
        return _refusal(name, f"damage that ended the reader ({called})")
    return UltrahandError(
        f"a defect of ultrahand ended it ({called}); run again with -v and report the traceback"
    )


def _refusal(name: str, found: str) -> InputError:
    remedy = "copy or convert the measurement again"
    error = InputError("file", found=found, expected="a sound file", remedy=remedy)
    error.file = name
    return error
