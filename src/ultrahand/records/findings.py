"""What was odd in an input: never silent, never in the way."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from ultrahand.errors import InputError, ResourceError, one_line


class Level(enum.StrEnum):
    """How much a finding matters."""

    INFO = "info"
    """A rule was applied; nothing is wrong."""
    WARNING = "warning"
    """The result may not be what the user expects."""
    ERROR = "error"
    """The input is refused."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One row of an audit: what stands in the file, what was expected, what to do."""

    level: Level
    field: str
    """Header field, data set or kind of readout; never a value that identifies a patient."""
    found: str
    expected: str
    remedy: str

    def __post_init__(self) -> None:
        for name in ("field", "found", "expected", "remedy"):
            object.__setattr__(self, name, one_line(getattr(self, name)))

    @classmethod
    def of_error(cls, error: InputError | ResourceError) -> Finding:
        """Turn a refusal into a row."""
        if isinstance(error, ResourceError):
            return cls(
                level=Level.ERROR,
                field="memory",
                found=str(error),
                expected="work that fits",
                remedy="allow more with --max-memory",
            )
        return cls(
            level=Level.ERROR,
            field=error.field,
            found=error.found,
            expected=error.expected,
            remedy=error.remedy,
        )

    def as_dict(self) -> dict[str, str]:
        """Return the row as JSON-ready text fields."""
        return {
            "level": self.level.value,
            "field": self.field,
            "found": self.found,
            "expected": self.expected,
            "remedy": self.remedy,
        }


def info(field: str, *, found: object, expected: str, remedy: str = "none needed") -> Finding:
    """Report a rule that was applied."""
    return Finding(
        level=Level.INFO, field=field, found=str(found), expected=expected, remedy=remedy
    )


def warning(field: str, *, found: object, expected: str, remedy: str) -> Finding:
    """Report something that may change the result."""
    return Finding(
        level=Level.WARNING, field=field, found=str(found), expected=expected, remedy=remedy
    )
