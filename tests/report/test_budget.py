"""How large a page grows: what stays, what gives way, and that it is said."""

import pytest
from examinations import png, report_of
from hypothesis import given
from hypothesis import strategies as st

from reading import Read
from ultrahand.errors import ResourceError
from ultrahand.report.budget import LIMIT_BYTES, share_bytes
from ultrahand.report.content import Fact, Picture, Report, Section, Status, Table
from ultrahand.report.fragments import MAX_ROWS
from ultrahand.report.page import render


def test_pages_stay_below_the_limit_and_say_what_is_left_out():
    """More than fits: pictures stay before volumes, and no volume is left out without need."""
    size, n = 1_000_000, 16
    report = report_of("a", volume_bytes=size, n=n)
    page = render(report)
    read = Read(page)
    kept = sum(a.get("type") == "text/plain" for tag, a in read.tags if tag == "script")
    left_out = "".join(read.text).count("Not in the viewer")
    buttons = sum(a.get("class") == "open-viewer" for _, a in read.tags)
    assert kept + left_out == n
    assert kept == buttons == (LIMIT_BYTES - 2_350_000) // (size * 4 // 3)
    assert LIMIT_BYTES - size * 4 // 3 - 100_000 < len(page.encode()) <= LIMIT_BYTES
    assert sum(tag == "img" for tag, _ in read.tags) == n


def test_pictures_beyond_the_limit_are_left_out_too():
    picture = Picture(png=png(padding=4_000_000), title="large", caption="")
    section = Section(title="a", status=Status.DONE, pictures=(picture,) * 4)
    page = render(Report(title="t", subtitle="s", hand="left", sections=(section,)))
    read = Read(page)
    # Two of 5.33 MB in base64 fit in 15 MB, three do not.
    assert sum(tag == "img" for tag, _ in read.tags) == 2
    assert "".join(read.text).count("Picture left out") == 2
    assert len(page.encode()) <= LIMIT_BYTES


def test_text_alone_beyond_the_limit_is_an_error():
    facts = (Fact(name="long", value="x" * LIMIT_BYTES),)
    with pytest.raises(ResourceError, match=r"15\.0 MB, at most 15 MB"):
        render(Report(title="t", subtitle="s", hand="left", facts=facts))


def test_long_tables_are_cut_and_counted():
    rows = tuple((f"row {i}", "1") for i in range(MAX_ROWS + 7))
    table = Table(title="joints", columns=("joint", "value"), rows=rows)
    section = Section(title="a", status=Status.DONE, tables=(table,))
    page = render(Report(title="t", subtitle="s", hand="left", sections=(section,)))
    assert f"The first {MAX_ROWS} of {MAX_ROWS + 7} rows are shown." in page
    assert f"row {MAX_ROWS - 1}<" in page
    assert f"row {MAX_ROWS}<" not in page


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=20), st.integers(0, 50_000))
def test_room_is_shared_fairly(wanted, total):
    shares = share_bytes(wanted, total)
    assert sum(shares) <= total
    assert all(0 <= share <= want for share, want in zip(shares, wanted, strict=True))
    short = [share for share, want in zip(shares, wanted, strict=True) if share < want]
    if short:
        assert sum(shares) == total, "nobody goes short while there is room"
        assert max(shares) - min(short) <= 1, "nobody has more than one who goes short"
