"""What is wrong with the hands, as a table and as a script that gives the same again."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

import numpy as np

from ultrahand.phantoms.digital_hand.anatomy import Hand
from ultrahand.phantoms.digital_hand.lesions import Lesions
from ultrahand.phantoms.digital_hand.oedema import assessed_level_m, volume_beyond_m3
from ultrahand.phantoms.digital_hand.person import DIGITS
from ultrahand.phantoms.digital_hand.stack import Stack
from ultrahand.phantoms.digital_hand.subject import Subject
from ultrahand.phantoms.digital_hand.truth import MM3, Rows, place_ras, ras
from ultrahand.phantoms.digital_hand.vessels import TRUNKS, ArteryState, Vessel
from ultrahand.phantoms.digital_hand.visible import Seen, grown_by_m3, seen_of

LESION_COLUMNS: Final = (
    "name",
    "side",
    "kind",
    "site",
    "digit",
    "state",
    "level",
    "x_mm",
    "y_mm",
    "z_mm",
    "volume_mm3",
    "visible_mm3",
    "asked_volume_mm3",
    "aspect",
    "share",
    "asked_share",
    "thickness_mm",
    "shape",
    "size_mm",
    "at_share",
    "stenosis_percent",
    "delay_s",
    "vein_count",
    "concentration_mmol_per_l",
    "solids",
)
"""Of the table of lesions: each row has all of them, None where it does not apply."""
_HEAD: Final = """\
# Every lesion of this examination: what the preset and the script of truth.json come to.
# As a script on top of the preset healthy, with the same seed, it gives the same hands.
"""


def lesion_rows(subject: Subject) -> Rows:
    """Return every lesion in effect, one row each: what was asked for, where it is, how large.

    The volume is what is seen of it, of synovitis and tenosynovitis what they add to a healthy
    lining or sheath; bones and tendons inside do not count. The middle is that of all that is seen.
    Lesions that are no solids of their own (thick skin, arteries, veins) have none.
    """
    rows: Rows = []
    seen = seen_of(subject.solids)
    for side, hand in subject.hands.items():
        prefix = subject.prefix(side)
        for found in _lesions(hand):
            row = dict.fromkeys(LESION_COLUMNS) | {"side": side, "digit": _digit(found["site"])}
            names = _names(subject, side, found.pop("pattern"))
            if found.pop("solid"):
                row |= _middle(subject, seen, names)
            if grown := found.pop("grown_mm", None):
                beside = _names(subject, side, f"{found['site']}_effusion")
                row["volume_mm3"] = _added_mm3(subject, seen, (*names, *beside), grown)
            if point := found.pop("point", None):
                row |= place_ras(subject, side, np.array(point))
            name = found.pop("name", f"{found['site']}_{found['kind']}")
            row |= {**found, "name": prefix + name, "site": prefix + found["site"]}
            rows.append(row | {"solids": " ".join(names) or None})
    return rows


def _digit(site: str) -> int | None:
    found = re.search(r"[1-5]", site)
    return int(found[0]) if found and site not in TRUNKS else None


def _names(subject: Subject, side: str, pattern: str) -> list[str]:
    """Return the names of one hand's solids that a pattern fits, without its prefix."""
    whole = re.compile(re.escape(subject.prefix(side)) + f"(?:{pattern})")
    owned = zip(subject.solids, subject.side, strict=True)
    return [item.name for item, owner in owned if owner == side and whole.fullmatch(item.name)]


def _middle(subject: Subject, seen: Seen, names: list[str]) -> dict[str, object]:
    """Return the visible volume of some solids and its middle."""
    numbers = [subject.index[name] for name in names]
    place = ras(subject.placement.to_patient(seen.middle_m(numbers)))
    volume = float(seen.volume_m3[numbers].sum()) * MM3
    return {**place, "volume_mm3": volume, "visible_mm3": volume}


def _added_mm3(subject: Subject, seen: Seen, names: Sequence[str], grown_mm: float) -> float:
    """Return what a swelling adds to health: it less what was there, and less fluid inside."""
    first, *fluid = (subject.index[name] for name in names)
    added = grown_by_m3(subject.solids[first].stack, grown_mm)
    return (added - float(seen.volume_m3[fluid].sum())) * MM3


def _lesions(hand: Hand) -> Iterator[dict[str, Any]]:
    """Yield the cells of each lesion, with a pattern of its solids and whether it is they."""
    yield from _of_bones(hand)
    yield from _of_soft_tissue(hand.lesions)
    yield from _of_vessels(hand)
    for joint, value in hand.lesions.cartilage.items():
        yield {
            "kind": "cartilage",
            "site": joint,
            "pattern": f"{joint}_cartilage_(proximal|distal)",
            "solid": True,
            "concentration_mmol_per_l": float(value),
        }


def _of_bones(hand: Hand) -> Iterator[dict[str, Any]]:
    for erosion in hand.lesions.erosions:
        yield {
            "kind": "erosion",
            "site": erosion.site,
            "pattern": f"{erosion.site}_erosion",
            "solid": True,
            "asked_volume_mm3": float(erosion.volume_mm3),
            "aspect": erosion.side,
        }
    for oedema in hand.lesions.oedemas:
        yield {
            "kind": "bone_oedema",
            "site": oedema.site,
            "pattern": rf"{oedema.site}_oedema\d*",
            "solid": True,
            "share": _wet_share(hand, oedema.site),
            "asked_share": float(oedema.share),
        }


def _wet_share(hand: Hand, site: str) -> float:
    """Return how much of the marrow that is scored at a site is wet."""
    bone, _, end = site.partition("_")

    def stacks(pattern: str) -> list[Stack]:
        return [s.stack for s in hand.solids if re.fullmatch(pattern, s.name)]

    (cortex,) = stacks(f"{bone}_cortex")
    head = end == "head"
    limit = assessed_level_m(cortex, head=head) if end else cortex.ends_m[0]
    marrow = volume_beyond_m3(stacks(rf"{bone}_marrow\d*"), limit, head=head or not end)
    return sum(s.volume_m3() for s in stacks(rf"{site}_oedema\d*")) / marrow


def _of_soft_tissue(lesions: Lesions) -> Iterator[dict[str, Any]]:
    fluid = lesions.effusion_mm
    swellings: list[tuple[str, str, str, float, float | None]] = [
        *(
            ("synovitis", j, f"{j}_synovium", v, v + fluid.get(j, 0.0))
            for j, v in lesions.synovitis_mm.items()
        ),
        *(("effusion", j, f"{j}_effusion", v, None) for j, v in fluid.items()),
        *(
            ("tenosynovitis", f"flexor{d}", f"flexor{d}_sheath", v, v)
            for d, v in lesions.sheath_mm.items()
        ),
    ]
    for kind, site, pattern, added, grown in swellings:
        found: dict[str, Any] = {"kind": kind, "site": site, "pattern": pattern, "solid": True}
        yield found | {"thickness_mm": float(added), "grown_mm": grown}
    for number, deposit in enumerate(lesions.deposits, 1):
        yield {
            "name": f"calcinosis{number}",
            "kind": "calcinosis",
            "site": f"{deposit.place}{deposit.digit}",
            "pattern": f"calcinosis{number}[a-e]?",
            "solid": True,
            "shape": deposit.shape,
            "size_mm": float(deposit.size_mm),
        }
    for digit, added in lesions.skin_mm.items():
        site = f"digit{digit}" if digit else "palm"
        if added > 0:
            yield {
                "kind": "skin",
                "site": site,
                "pattern": rf"{site}_skin" if digit else r"palm\d_skin",
                "solid": False,
                "thickness_mm": float(added),
            }


def _of_vessels(hand: Hand) -> Iterator[dict[str, Any]]:
    for site, state in hand.lesions.arteries.items():
        pattern = site if site in TRUNKS else f"proper_{site}_[PMD]"
        own = [v for v in hand.vessels if re.fullmatch(pattern, v.name)]
        for values in _states(state):
            yield {
                "name": f"{site}_{values['state']}",
                "kind": "artery",
                "site": site,
                "pattern": pattern,
                "solid": False,
                **_where(own, values["state"]),
                "state": values["state"],
                "at_share": values.get("at"),
                "stenosis_percent": values.get("percent"),
                "delay_s": values.get("delay_s"),
            }
    for digit in DIGITS:
        count = hand.vein_count[digit]
        if count == 0 or digit in hand.lesions.veins:
            yield {
                "kind": "veins",
                "site": f"digit{digit}",
                "pattern": f"vein_{digit}_.+",
                "solid": False,
                "state": "set" if count else "absent",
                "vein_count": count,
            }


def _where(own: Sequence[Vessel], state: str) -> dict[str, Any]:
    """Return level and place of an artery's end, or of where it is narrowest, of its pieces."""
    if state == "occluded" and own:
        return _place(own[-1], own[-1].ends_m[1])
    for narrow in own if state == "stenosed" else ():
        if narrow.narrowest_m is not None:
            return _place(narrow, narrow.narrowest_m)
    return {}


def _place(vessel: Vessel, level_m: float) -> dict[str, Any]:
    point = vessel.stack.points(np.array(level_m)).tolist()
    return {"level": vessel.level or None, "point": point}


def _states(state: ArteryState) -> list[dict[str, Any]]:
    """Return the entries of a script that give an artery its state."""
    if not state.present:
        return [{"state": "absent"}]
    found: list[dict[str, Any]] = []
    if state.occluded_at is not None:
        found.append({"state": "occluded", "at": float(state.occluded_at)})
    if state.stenosis_percent > 0:
        found.append({"state": "stenosed", "percent": float(state.stenosis_percent)})
    if state.delay_s > 0:
        found.append({"state": "delayed", "delay_s": float(state.delay_s)})
    return found


def lesion_script(subject: Subject) -> str:
    """Return the preset and the script as they were used: one script of every hand's lesions."""
    first = next(iter(subject.hands.values())).lesions
    drawn = {key: list(getattr(first, key)) for key in ("lumen_mm2", "vein_count", "transit_s")}
    lines = [_HEAD, "[drawn]", *(f"{key} = {pair}" for key, pair in drawn.items())]
    for side, hand in subject.hands.items():
        for kind, values in _entries(hand.lesions):
            lines += ["", f"[[{kind}]]"]
            lines += [f"{k} = {_toml(v)}" for k, v in {**values, "hand": side}.items()]
    return "\n".join(lines) + "\n"


def _entries(lesions: Lesions) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the entries of a script that gives these lesions."""
    for kind, listed in (
        ("erosion", lesions.erosions),
        ("bone_oedema", lesions.oedemas),
        ("calcinosis", lesions.deposits),
    ):
        yield from ((kind, asdict(one)) for one in listed)
    for kind, place, value, table in (
        ("synovitis", "joint", "thickness_mm", lesions.synovitis_mm),
        ("effusion", "joint", "thickness_mm", lesions.effusion_mm),
        ("tenosynovitis", "digit", "thickness_mm", lesions.sheath_mm),
        ("skin", "digit", "added_mm", lesions.skin_mm),
        ("veins", "digit", "count", lesions.veins),
        ("cartilage", "joint", "concentration_mmol_per_l", lesions.cartilage),
    ):
        yield from ((kind, {place: key, value: number}) for key, number in table.items())
    for name, state in lesions.arteries.items():
        for values in _states(state):
            yield "artery", {"name": name, **values}


def _toml(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else repr(value)
