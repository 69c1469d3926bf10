"""The errors that leave ultrahand, each with the exit code of the command line.

An error a user can cure says in one line where it is, what was found, what was expected and
the remedy. Identifying values of the patient never enter such a line.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

EXIT_DEFECT = 1
EXIT_USAGE = 2
EXIT_INPUT = 3
EXIT_INCOMPLETE = 4
EXIT_RESOURCES = 5
EXIT_INTERRUPTED = 130


class UltrahandError(Exception):
    """Any error that ultrahand raises on purpose."""

    exit_code = EXIT_DEFECT


class RecordError(UltrahandError, ValueError):
    """A record was built from parts that contradict each other: a shape, a unit, a sign."""


class UsageError(UltrahandError):
    """The command or call is wrong: an option, an existing output, a missing choice."""

    exit_code = EXIT_USAGE


class ResourceError(UltrahandError):
    """The work does not fit: memory above the limit, disk full."""

    exit_code = EXIT_RESOURCES


class InputError(UltrahandError):
    """An input is refused.

    Parameters
    ----------
    field
        What is refused: a header field, a data set, a readout (``readout 17 (scan_counter 18)``).
    found, expected
        The offending value and what would have been right.
    remedy
        What the user can do.
    """

    exit_code = EXIT_INPUT

    def __init__(self, field: str, *, found: object, expected: str, remedy: str) -> None:
        self.field = one_line(field)
        self.found = one_line(str(found))
        self.expected = one_line(expected)
        self.remedy = one_line(remedy)
        self.file: str | None = None
        """Name of the file at fault, where the reader knows it."""
        self.role: str | None = None
        """Which input is at fault where it is not the raw data: ``noise``, ``trajectory``."""
        super().__init__(
            f"{self.field}: found {self.found}, expected {self.expected}; {self.remedy}"
        )


@contextmanager
def concerning(role: str | None) -> Iterator[None]:
    """Mark the refusals from within as those of another input than the raw data."""
    try:
        yield
    except InputError as error:
        error.role = error.role or role
        raise


def one_line(text: str, limit: int = 400) -> str:
    """Printable, on one line and bounded: text from a damaged file can be anything."""
    clean = "".join(c if c.isprintable() else "?" for c in " ".join(text.split()))
    return clean if len(clean) <= limit else clean[: limit - 3] + "..."
