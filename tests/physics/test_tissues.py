import math
from dataclasses import FrozenInstanceError
from importlib import resources
from pathlib import Path

import pytest

from ultrahand.errors import InputError, RecordError, UsageError
from ultrahand.physics.tissue_entries import ASSUMED, ELSEWHERE, MEASURED, NAMES, OWN
from ultrahand.physics.tissue_page import tissue_page
from ultrahand.physics.tissue_table import read_table
from ultrahand.physics.tissues import (
    WATER_SUSCEPTIBILITY_PPM,
    sources,
    table_version,
    tissue,
    tissue_names,
)

HEALTHY = """skin subcutaneous_fat muscle tendon ligament cortical_bone yellow_marrow cartilage
synovial_fluid synovium artery_blood vein_blood nail agar saline holder""".split()
LESIONS = """erosion marrow_oedema inflamed_synovium tendon_sheath_fluid effusion calcinosis
fibrotic_skin""".split()
FLUIDS = "synovial_fluid tendon_sheath_fluid effusion saline".split()
SILENT = "holder calcinosis".split()
FAT = "subcutaneous_fat yellow_marrow".split()

# What is possible at 7 T. T1 of protons: at most pure water's at 37 C, 4.5 s; of sodium: at most
# that of free sodium, 60 ms. Sodium: at most twice the highest cartilage in print, 310 mmol/L.
RANGES = {
    "susceptibility_ppm": (-15.0, -7.0),
    "density_kg_per_m3": (900.0, 2200.0),
    "chemical_shift_ppm": (-3.5, 0.0),
    "proton.proton_density": (0.0, 1.0),
    "proton.t1_s": (0.1, 4.5),
    "proton.t2_s": (1e-5, 2.5),
    "proton.t2star_s": (1e-5, 0.1),
    "sodium.concentration_mmol_per_l": (0.0, 620.0),
    "sodium.t1_s": (0.01, 0.06),
    "sodium.t2star_short_s": (2e-4, 0.06),
    "sodium.t2star_long_s": (2e-4, 0.06),
    "sodium.short_fraction": (0.6, 0.6),
}


def packaged():
    return (resources.files("ultrahand.physics") / "tissues.toml").read_text(encoding="utf-8")


def test_table_has_the_tissues_and_a_version():
    assert set(tissue_names()) == {*HEALTHY, *LESIONS}
    assert [int(part) >= 0 for part in table_version().split(".")] == [True] * 3


@pytest.mark.parametrize("name", [*HEALTHY, *LESIONS])
def test_every_entry_is_in_a_possible_range_and_says_where_it_comes_from(name):
    entries = tissue(name).entries
    assert set(entries) == set(NAMES) == set(RANGES)
    for key, entry in entries.items():
        low, high = RANGES[key]
        assert low <= entry.value <= high, key
        assert entry.basis != OWN
        assert entry.source is None or entry.source in sources(), key
        assert entry.reason or entry.source, key
        assert entry.field_t is None or 0.5 <= entry.field_t <= 12.0, key
        # A spread as large as the value would be a wrong unit.
        assert entry.sd is None or entry.sd < abs(entry.value), key


@pytest.mark.parametrize("name", [*HEALTHY, *LESIONS])
def test_records_hold_the_values_of_their_entries(name):
    item = tissue(name)
    for key, entry in item.entries.items():
        place = item
        for part in key.split("."):
            place = getattr(place, part)
        assert place == entry.value


@pytest.mark.parametrize("name", [*HEALTHY, *LESIONS])
def test_relaxation_times_are_ordered(name):
    item = tissue(name)
    assert item.proton.t2star_s <= item.proton.t2_s <= item.proton.t1_s
    assert item.sodium.t2star_short_s <= item.sodium.t2star_long_s <= item.sodium.t1_s
    assert (item.sodium.t2star_short_s == item.sodium.t2star_long_s) == (name in {*FLUIDS, *SILENT})


def test_fat_alone_is_shifted_and_what_is_solid_is_silent():
    shifted = {name for name in tissue_names() if tissue(name).chemical_shift_ppm != 0.0}
    assert shifted == set(FAT)
    # Methylene at 1.30 ppm and water at 4.70 ppm (Gajdosik 2014, abstract).
    assert tissue("subcutaneous_fat").chemical_shift_ppm == pytest.approx(1.30 - 4.70)
    dark = {name for name in tissue_names() if tissue(name).proton.proton_density == 0.0}
    assert dark == set(SILENT)
    assert all(tissue(name).sodium.concentration_mmol_per_l == 0.0 for name in SILENT)


def test_measured_values_are_those_of_their_papers():
    golden = {
        # Mueller-Lutz 2021, 3 T, radiocarpal joint, n = 10, abstract.
        ("cartilage", "sodium.t1_s"): (0.0190, 0.0024),
        ("cartilage", "sodium.t2star_short_s"): (0.0009, 0.0004),
        ("cartilage", "sodium.t2star_long_s"): (0.0149, 0.0009),
        ("cartilage", "sodium.concentration_mmol_per_l"): (159.8, 29.1),
        # Kamp 2022, 3 T, Achilles tendon, abstract.
        ("tendon", "sodium.concentration_mmol_per_l"): (82.2, 13.9),
        ("tendon", "sodium.t2star_short_s"): (0.0014, 0.0004),
        # Kopp 2017, 3 T, lower leg, abstract.
        ("skin", "sodium.concentration_mmol_per_l"): (21.4, 5.3),
        ("fibrotic_skin", "sodium.concentration_mmol_per_l"): (27.2, 5.6),
        # Kamp 2021, 3 T, synovial fluid of the knee.
        ("synovial_fluid", "sodium.t1_s"): (0.0379, 0.0029),
        # Pabst 2001 and 2002, 1.5 T, blood in the heart, abstracts.
        ("artery_blood", "sodium.t1_s"): (0.0311, 0.0075),
        ("artery_blood", "sodium.t2star_long_s"): (0.0193, 0.0033),
        # Rane 2013, 7 T, human blood, abstract.
        ("artery_blood", "proton.t1_s"): (2.29, 0.10),
        ("vein_blood", "proton.t1_s"): (2.07, 0.12),
        # Gajdosik 2014, 7 T, methylene, abstract.
        ("subcutaneous_fat", "proton.t1_s"): (0.514, 0.025),
        # Bound water of the tibia in vivo, 3 T, abstract.
        ("cortical_bone", "proton.t1_s"): (0.1123, 0.0164),
        # Juras 2011, 7 T, Achilles tendon, abstract.
        ("tendon", "proton.t2star_s"): (0.00041, 0.0001),
    }
    for (name, key), (value, sd) in golden.items():
        entry = tissue(name).entries[key]
        assert (entry.value, entry.sd) == (value, sd), (name, key)
        assert entry.basis in {MEASURED, ELSEWHERE}
        assert sources()[entry.source].read == "abstract"


def test_susceptibilities_follow_from_their_sources():
    # Jain 2012: 0.273 (1 - Y) - 0.008 ppm (cgs) per haematocrit, relative to water.
    for name, saturation in (("artery_blood", 0.98), ("vein_blood", 0.65)):
        cgs = 0.42 * (0.273 * (1.0 - saturation) - 0.008)
        expected = WATER_SUSCEPTIBILITY_PPM + 4.0 * math.pi * cgs
        assert tissue(name).susceptibility_ppm == pytest.approx(expected, abs=5e-3)
    # Hopkins 1997: -0.90 +- 0.02 ppm (cgs).
    bone = tissue("cortical_bone").entries["susceptibility_ppm"]
    assert bone.value == pytest.approx(-0.90 * 4.0 * math.pi, abs=5e-3)
    assert bone.sd == pytest.approx(0.02 * 4.0 * math.pi, abs=5e-3)
    # Half apatite, -1.18 ppm (cgs), half water: a deposit is diamagnetic against its surroundings.
    apatite = 0.5 * (-1.18 * 4.0 * math.pi + WATER_SUSCEPTIBILITY_PPM)
    assert tissue("calcinosis").susceptibility_ppm == pytest.approx(apatite, abs=0.05)


def test_a_value_of_another_tissue_is_an_assumption():
    entry = tissue("effusion").entries["sodium.t1_s"]
    assert entry.value == tissue("synovial_fluid").sodium.t1_s
    assert entry.basis == ASSUMED
    assert entry.source == "kamp2021"
    assert entry.reason.startswith("as synovial_fluid: ")
    assert entry.sd is None


def test_every_source_is_cited():
    cited = {entry.source for name in tissue_names() for entry in tissue(name).entries.values()}
    assert set(sources()) == cited - {None}


def test_own_values_replace_single_entries_of_a_copy():
    before = tissue("muscle")
    own = {"proton.t1_s": 1.6, "sodium.t1_s": {"value": 0.028, "sd": 0.002, "n": 8}}
    item = tissue("muscle", own)
    assert (item.proton.t1_s, item.sodium.t1_s) == (1.6, 0.028)
    entry = item.entries["sodium.t1_s"]
    assert (entry.basis, entry.sd, entry.n, entry.source) == (OWN, 0.002, 8, None)
    assert item.proton.t2_s == before.proton.t2_s
    assert tissue("muscle") == before
    with pytest.raises(FrozenInstanceError):
        item.comment = "another"
    with pytest.raises(TypeError):
        before.entries["proton.t1_s"] = entry


@pytest.mark.parametrize(
    ("own", "field"),
    [
        ({"proton.t9_s": 1.0}, "muscle proton.t9_s"),
        ({"proton.t1_s": "1.6"}, "muscle proton.t1_s value"),
        ({"proton.t1_s": True}, "muscle proton.t1_s value"),
        ({"proton.t1_s": math.nan}, "muscle proton.t1_s value"),
        ({"proton.t1_s": {"sd": 0.1}}, "muscle proton.t1_s"),
        ({"proton.t1_s": {"value": 1.6, "basis": "measured"}}, "muscle proton.t1_s"),
        ({"proton.t1_s": {"value": 1.6, "sd": "0.1"}}, "muscle proton.t1_s sd"),
    ],
)
def test_own_values_that_are_none_are_refused(own, field):
    with pytest.raises(InputError) as refused:
        tissue("muscle", own)
    assert refused.value.field == field


def test_contradictions_are_refused():
    with pytest.raises(RecordError, match=r"T2\* <= T2 <= T1"):
        tissue("muscle", {"proton.t2_s": 2.0})
    with pytest.raises(RecordError, match=r"short <= long T2\* <= T1"):
        tissue("muscle", {"sodium.t1_s": 0.01})
    with pytest.raises(RecordError, match="short_fraction"):
        tissue("muscle", {"sodium.short_fraction": 1.2})
    with pytest.raises(RecordError, match="density"):
        tissue("muscle", {"density_kg_per_m3": -1.0})
    with pytest.raises(UsageError, match="one of skin, "):
        tissue("mucsle")


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        ("\n[tissue.skin]\n", '\n[tissue.skin]\ncolour = "pink"\n', "colour"),
        ("\n[tissue.skin.proton]\n", "\n[tissue.skin.proton]\nt3_s = { value = 1.0 }\n", "t3_s"),
        ("version =", 'author = "us"\nversion =', "author"),
        ('source = "kopp2017"', 'source = "kop2017"', "no source 'kop2017'"),
        ('sd = 5.3, n = 21, basis = "measured elsewhere"', 'basis = "own"', "caller's"),
        ('sd = 5.3, n = 21, basis = "measured elsewhere"', 'basis = "guessed"', "basis must be"),
        ("sd = 5.3, n = 21,", "sigma = 5.3,", "sigma"),
        ("sd = 5.3, n = 21,", "sd = -5.3,", "sd must be positive"),
        ("value = 21.4,", "value = nan,", "finite"),
        ('like = "tendon"', 'like = "tenton"', "no tissue 'tenton'"),
        ('like = "tendon", reason', 'like = "tendon", n = 2, reason', "a reason alone"),
        ('read = "cited"', 'read = "heard"', "unknown reading"),
        ('read = "cited"', 'seen = "cited"', "'read', 'seen'"),
        ("{ value = 21.4,", "{ median = 21.4,", "'median', 'value'"),
    ],
)
def test_mistakes_in_the_file_are_refused(old, new, match):
    text = packaged()
    assert old in text
    with pytest.raises(RecordError, match=match):
        read_table(text.replace(old, new, 1))


def test_a_circle_of_likes_is_refused():
    text = packaged().replace('like = "synovial_fluid"', 'like = "effusion"')
    with pytest.raises(RecordError, match="leads back to itself"):
        read_table(text)


def test_an_assumption_without_reason_and_a_measurement_without_source_are_refused():
    text = packaged()
    first = text.index('basis = "assumed"')
    line = text[text.rindex("{", 0, first) : text.index("}", first) + 1]
    with pytest.raises(RecordError, match="needs a reason"):
        read_table(text.replace(line, '{ value = 1.0, basis = "assumed" }', 1))
    with pytest.raises(RecordError, match="needs a source"):
        read_table(text.replace(line, '{ value = 1.0, basis = "measured" }', 1))


def test_the_page_shows_the_table():
    page = Path(__file__).parents[2] / "docs" / "tissues.md"
    assert page.read_text(encoding="utf-8") == tissue_page()


def test_the_page_marks_what_is_not_sure():
    rows = tissue_page().splitlines()
    muscle = next(row for row in rows if row.startswith("| muscle "))
    # Density and T1 assumed or known from citations, the shift of water by definition.
    assert muscle.split(" | ")[1:3] == ["0.78 ?", "1.55 ?"]
    assert muscle.split(" | ")[5] == "0"
    blood = next(row for row in rows if row.startswith("| artery_blood "))
    assert blood.split(" | ")[2] == "2.29"
