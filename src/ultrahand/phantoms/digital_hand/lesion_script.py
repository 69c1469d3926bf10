"""The lesion script (TOML) and the presets, which are scripts.

A script is a table of lists, one entry a lesion; docs/simulate.md shows each.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib import resources
from typing import Any, Final

from ultrahand.errors import InputError
from ultrahand.phantoms.digital_hand.lesions import (
    ARTERIES,
    FINGER_JOINTS,
    JOINTS,
    SITES,
    Deposit,
    Erosion,
    Lesions,
    Oedema,
)
from ultrahand.phantoms.digital_hand.person import DIGITS
from ultrahand.phantoms.digital_hand.vessels import ArteryState

PRESETS: Final = ("healthy", "ssc_mild", "ssc_severe")
SKIN_MOST_MM: Final[Mapping[int, float]] = {0: 1.0, 1: 1.0, 2: 1.5, 3: 1.5, 4: 1.5, 5: 0.5}
"""Thickness that every one of twelve hands had room for, by digit; 0 is the palm."""
_SHAPES: Final = ("nodule", "plate", "cluster")
_PLACES: Final = ("pulp", "palm")


def preset(name: str, hand: str) -> Lesions:
    """Return a preset for the ``left`` or ``right`` hand."""
    return parse(preset_text(name), hand, name=f"{name}.toml")


def preset_text(name: str) -> str:
    """Return the script of a preset."""
    folder = resources.files("ultrahand.phantoms.digital_hand") / "presets"
    return (folder / f"{name}.toml").read_text(encoding="utf-8")


def parse(text: str, hand: str, *, base: Lesions | None = None, name: str = "script") -> Lesions:
    """Read a script for one hand, on top of another if given.

    Parameters
    ----------
    text
        TOML.
    hand
        ``left`` or ``right``: entries with another ``hand`` are left out.
    base
        What holds where the script says nothing.
    name
        Of the script, for messages.

    Raises
    ------
    InputError
        Not TOML, an unknown key or site, a value out of range, a key that the entry does not use,
        two entries at one place: which entry, what was expected.
    """
    table = table_of(text, name)
    lesions = base or Lesions()
    places: _Places = {}
    for key, entries in table.items():
        reader = _known(_READERS, key, name)
        if key == "drawn":
            lesions = reader(lesions, _entry(entries, _DRAWN, f"{name} [drawn]"))
            continue
        if not isinstance(entries, list):
            raise InputError(
                f"{name} {key}",
                found=type(entries).__name__,
                expected=f"a list of tables, [[{key}]]",
                remedy="see docs/simulate.md",
            )
        for number, entry in enumerate(entries, 1):
            where = f"{name} [[{key}]] {number}"
            values = _entry(entry, _FIELDS[key], where)
            _check_used(key, entry, values, where)
            if values.pop("hand") in ("both", hand):
                _check_place(key, values, number, where, places)
                lesions = reader(lesions, values)
    return lesions


def table_of(text: str, name: str) -> dict[str, Any]:
    """Return what a script says, not looked at yet; refuse what is not TOML."""
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # thousands of digits, or of brackets
        raise InputError(
            name, found=str(error), expected="TOML", remedy="see docs/simulate.md"
        ) from None


_Check = Callable[[Any], bool]
_Places = dict[tuple[str, object], dict[str, int]]
"""Numbers of the entries by kind and place, then by state."""


def _one_of(*allowed: str | int) -> tuple[_Check, str]:
    # `true` equals 1 and 3.0 equals 3: neither names a digit.
    return (lambda v: type(v) in (str, int) and v in allowed), "one of " + ", ".join(
        map(str, allowed)
    )


def _number(low: float, high: float) -> tuple[_Check, str]:
    def fits(value: object) -> bool:
        plain = isinstance(value, int | float) and not isinstance(value, bool)
        return plain and low <= value <= high  # type: ignore[operator]  # any int, not any float

    return fits, f"a number from {low:g} to {high:g}"


def _pair(high: float) -> tuple[_Check, str]:
    fits, _ = _number(0, high)
    return (
        lambda v: isinstance(v, list) and len(v) == 2 and all(map(fits, v)),
        f"[mean, standard deviation], each from 0 to {high:g}",
    )


_REQUIRED: Final = object()
_LONG: Final = 80
"""Characters of a refused value that are shown."""
_PALM_DIGIT: Final = 5
_PLACE: Final[Mapping[str, str]] = {
    "erosion": "site",
    "bone_oedema": "site",
    "synovitis": "joint",
    "effusion": "joint",
    "tenosynovitis": "digit",
    "skin": "digit",
    "artery": "name",
    "veins": "digit",
    "cartilage": "joint",
}
"""What says where a lesion is, for those that a place can have one of."""
_ONE_OF: Final[Mapping[str, str]] = {
    "erosion": "one erosion for each end of a bone, or carpal bone, and hand: there is no room",
    "artery": "one entry for each artery, state and hand, and none beside absent",
}
_USED_IN: Final[Mapping[str, str]] = {"at": "occluded", "percent": "stenosed", "delay_s": "delayed"}
"""State of an artery that uses a key."""
_ASIDE: Final = _one_of("radial", "ulnar", "dorsal", "palmar")
_HAND: Final = (*_one_of("left", "right", "both"), "both")
# Key: check, its words, default.
_FIELDS: Final[Mapping[str, Mapping[str, tuple[_Check, str, Any]]]] = {
    "erosion": {
        "site": (*_one_of(*SITES), _REQUIRED),
        "volume_mm3": (*_number(0.5, 120), _REQUIRED),
        "side": (*_ASIDE, "radial"),
    },
    "bone_oedema": {
        "site": (*_one_of(*SITES), _REQUIRED),
        "share": (*_number(0.05, 1.0), _REQUIRED),
    },
    "synovitis": {
        "joint": (*_one_of(*FINGER_JOINTS), _REQUIRED),
        "thickness_mm": (*_number(0.1, 3.0), _REQUIRED),
    },
    "effusion": {
        "joint": (*_one_of(*FINGER_JOINTS), _REQUIRED),
        "thickness_mm": (*_number(0.2, 2.0), _REQUIRED),
    },
    "tenosynovitis": {
        "digit": (*_one_of(*DIGITS), _REQUIRED),
        "thickness_mm": (*_number(0.1, 2.0), _REQUIRED),
    },
    "calcinosis": {
        "place": (*_one_of(*_PLACES), _REQUIRED),
        "digit": (*_one_of(*DIGITS), _PALM_DIGIT),
        "shape": (*_one_of(*_SHAPES), "nodule"),
        "size_mm": (*_number(0.5, 25.0), _REQUIRED),
    },
    "skin": {
        "digit": (*_one_of(0, *DIGITS), _REQUIRED),
        "added_mm": (*_number(0.0, max(SKIN_MOST_MM.values())), _REQUIRED),
    },
    "artery": {
        "name": (*_one_of(*ARTERIES), _REQUIRED),
        "state": (*_one_of("absent", "occluded", "stenosed", "delayed"), _REQUIRED),
        "at": (*_number(0.05, 0.95), 0.3),
        "percent": (*_number(1, 95), 60.0),
        "delay_s": (*_number(0, 60), 6.0),
    },
    "veins": {
        "digit": (*_one_of(*DIGITS), _REQUIRED),
        "count": (*_one_of(*range(7)), _REQUIRED),
    },
    "cartilage": {
        "joint": (*_one_of(*JOINTS), _REQUIRED),
        "concentration_mmol_per_l": (*_number(0, 400), _REQUIRED),
    },
}
_DRAWN: Final[Mapping[str, tuple[_Check, str, Any]]] = {
    "lumen_mm2": (*_pair(4.0), [0.53, 0.26]),
    "vein_count": (*_pair(6.0), [3.13, 0.99]),
    "transit_s": (*_pair(60.0), [8.0, 3.0]),
}


def _entry(
    entry: object, fields: Mapping[str, tuple[_Check, str, Any]], where: str
) -> dict[str, Any]:
    """Check one table: no unknown key, each value in its range; defaults filled in."""
    if not isinstance(entry, dict):
        raise InputError(
            where, found=repr(entry), expected="a table", remedy="see docs/simulate.md"
        )
    allowed = fields if fields is _DRAWN else {**fields, "hand": _HAND}
    for key in entry:
        _known(allowed, key, where)
    values = {}
    for key, (fits, words, default) in allowed.items():
        value = entry.get(key, default)
        if value is _REQUIRED or not fits(value):
            found = "nothing" if value is _REQUIRED else _shown(value)
            raise InputError(
                f"{where} {key}", found=found, expected=words, remedy=_nearest(value, words)
            )
        values[key] = value
    return values


def _shown(value: object) -> str:
    """Return a value as it is written, without the middle of a long one."""
    try:
        text = repr(value)
    except ValueError:  # Python writes no more digits than 4300
        return "a number of thousands of digits"
    return text if len(text) <= _LONG else f"{text[:20]}...{text[-20:]}"


def _nearest(value: object, words: str) -> str:
    """Return which of the words an unknown one was meant to be, else where to look."""
    allowed = words.removeprefix("one of ").split(", ") if words.startswith("one of ") else []
    near = difflib.get_close_matches(value, allowed, n=1) if isinstance(value, str) else []
    return f"did you mean {near[0]}?" if near else "see docs/simulate.md"


def _check_used(kind: str, entry: Mapping[str, Any], values: Mapping[str, Any], where: str) -> None:
    """Refuse what the entry's state or place does not use, or has no room for."""
    if kind == "calcinosis" and values["place"] == "palm" and values["digit"] != _PALM_DIGIT:
        raise InputError(
            f"{where} digit",
            found=f"{values['digit']} with place = palm",
            expected=f"{_PALM_DIGIT}: deposits of the palm lie at its ulnar border",
            remedy="leave digit out, or choose place = pulp",
        )
    if kind == "skin" and values["added_mm"] > SKIN_MOST_MM[values["digit"]]:
        most = SKIN_MOST_MM[values["digit"]]
        raise InputError(
            f"{where} added_mm",
            found=f"{values['added_mm']:g} with digit = {values['digit']}",
            expected=f"a number from 0 to {most:g} there: what lies beside it needs its place",
            remedy="make it smaller",
        )
    for key, state in _USED_IN.items() if kind == "artery" else ():
        if key in entry and values["state"] != state:
            raise InputError(
                f"{where} {key}",
                found=f"{key} with state = {values['state']}",
                expected=f"{key} only with state = {state}",
                remedy=f"leave {key} out, or write a second entry with state = {state}",
            )


def _check_place(
    kind: str,
    values: Mapping[str, Any],
    number: int,
    where: str,
    places: _Places,
) -> None:
    """Refuse a second lesion of one kind at one place of one hand; note where this one is.

    Parameters
    ----------
    kind, values, number, where
        The entry: its list, what it says, which of the list it is, and both in words.
    places
        What was named before; this entry is added.
    """
    if kind not in _PLACE:
        return
    at, state = values[_PLACE[kind]], values.get("state", "")
    there = places.setdefault((kind, at), {})
    if state in there or (there and "absent" in (state, *there)):
        first = there.get(state, min(there.values()))
        raise InputError(
            where,
            found=f"a second {kind} at {_PLACE[kind]} {at}; [[{kind}]] {first} names it already",
            expected=_ONE_OF.get(kind, f"one {kind} for each {_PLACE[kind]} and hand"),
            remedy="leave one of them out, or give each a hand of its own",
        )
    there[state] = number


def _known(table: Mapping[str, Any], key: str, where: str) -> Any:  # noqa: ANN401 - a reader or a field
    if key not in table:
        near = difflib.get_close_matches(key, table, n=1)
        raise InputError(
            where,
            found=f"unknown key {key}",
            expected="one of " + ", ".join(table),
            remedy=f"did you mean {near[0]}?" if near else "see docs/simulate.md",
        )
    return table[key]


def _with(name: str, key: str, value: str) -> Callable[[Lesions, dict[str, Any]], Lesions]:
    """Return a reader that sets one entry of a mapping of the lesions."""

    def read(lesions: Lesions, values: dict[str, Any]) -> Lesions:
        changed: dict[str, Any] = {name: {**getattr(lesions, name), values[key]: values[value]}}
        return replace(lesions, **changed)

    return read


def _erosion(lesions: Lesions, values: dict[str, Any]) -> Lesions:
    others = (e for e in lesions.erosions if e.site != values["site"])
    return replace(lesions, erosions=(*others, Erosion(**values)))


def _oedema(lesions: Lesions, values: dict[str, Any]) -> Lesions:
    others = (o for o in lesions.oedemas if o.site != values["site"])
    return replace(lesions, oedemas=(*others, Oedema(**values)))


def _artery(lesions: Lesions, values: dict[str, Any]) -> Lesions:
    name = values["name"]
    states: Sequence[Mapping[str, Any]] = [
        {"absent": {"present": False}},
        {"occluded": {"occluded_at": values["at"]}},
        {"stenosed": {"stenosis_percent": values["percent"]}},
        {"delayed": {"delay_s": values["delay_s"]}},
    ]
    change = next(s[values["state"]] for s in states if values["state"] in s)
    before = lesions.arteries.get(name, ArteryState())
    # What is absent has no other state, whichever of both the preset or the script says.
    alone = not before.present or values["state"] == "absent"
    state = replace(ArteryState() if alone else before, **change)
    return replace(lesions, arteries={**lesions.arteries, name: state})


def _drawn(lesions: Lesions, values: dict[str, Any]) -> Lesions:
    changed: dict[str, Any] = {key: tuple(map(float, pair)) for key, pair in values.items()}
    return replace(lesions, **changed)


_READERS: Final[Mapping[str, Callable[[Lesions, dict[str, Any]], Lesions]]] = {
    "drawn": _drawn,
    "erosion": _erosion,
    "bone_oedema": _oedema,
    "calcinosis": lambda l, v: replace(l, deposits=(*l.deposits, Deposit(**v))),  # noqa: E741
    "synovitis": _with("synovitis_mm", "joint", "thickness_mm"),
    "effusion": _with("effusion_mm", "joint", "thickness_mm"),
    "tenosynovitis": _with("sheath_mm", "digit", "thickness_mm"),
    "skin": _with("skin_mm", "digit", "added_mm"),
    "artery": _artery,
    "veins": _with("veins", "digit", "count"),
    "cartilage": _with("cartilage", "joint", "concentration_mmol_per_l"),
}
