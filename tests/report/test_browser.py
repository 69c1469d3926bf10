"""The page in a real browser: it draws, asks nothing, and works without its viewer."""

import gzip
import io
import re
from pathlib import Path
from tempfile import gettempdir

import nibabel
import numpy as np
import pytest
from browser import NO_GL, Browser, chromium
from examinations import examination
from PIL import Image

from ultrahand.report.page import render

pytestmark = pytest.mark.skipif(
    chromium() is None, reason="no Chromium is installed (Debian: chromium)"
)
SHOWN = "document.getElementById('viewer').dataset.shown"
VALUE = "document.getElementById('viewer-value').textContent"
TEXT = "document.body.innerText"


@pytest.fixture(scope="module")
def report():
    return examination(np.random.default_rng(11))


@pytest.fixture(scope="module")
def page(report, tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(render(report), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with Browser(tmp_path_factory.mktemp("profile")) as started:
        yield started


def keep(name):
    """Return where a screenshot goes for a person to look at."""
    return Path(gettempdir()) / f"report_{name}.png"


def opened(browser, key):
    browser.run(f"document.querySelector('[data-volume={key}]').click()")
    browser.wait_for(f"{SHOWN} === '{key}'")


def canvas_pixels(browser, name=None):
    """Return the grey values of the screen where the viewer draws."""
    box = browser.run(
        "(({x, y, width, height}) => [x, y, width, height])"
        "(document.getElementById('viewer-canvas').getBoundingClientRect())"
    )
    x, y, width, height = (round(v) for v in box)
    picture = Image.open(io.BytesIO(browser.screenshot(keep(name) if name else None)))
    return np.asarray(picture.convert("L"), float)[y : y + height, x : x + width]


def assert_silent(browser, page):
    assert browser.complaints() == []
    for url in browser.requests():
        assert url == page.as_uri() or url.startswith("data:image/"), url[:200]


@pytest.mark.parametrize("width", [400, 1000, 1600])
def test_page_fits_its_window_and_asks_nothing(browser, page, width):
    browser.open(page, width=width)
    assert browser.run("document.documentElement.scrollWidth") <= width
    assert browser.run("[...document.images].every((i) => i.complete && i.naturalWidth > 100)")
    assert "3 of 5 series done, 1 failed, 1 missing." in browser.run(TEXT)
    browser.screenshot(keep(f"top_{width}"))
    browser.resize(width, min(browser.run("document.documentElement.scrollHeight"), 8000))
    browser.screenshot(keep(f"whole_{width}"))
    assert_silent(browser, page)


def test_hostile_text_is_shown_and_does_nothing(browser, page):
    browser.open(page)
    text = browser.run(TEXT)
    assert "<script>window.spoiled = 1</script>" in text
    assert "proton <i>series</i>" in text
    assert browser.run("window.spoiled === undefined")
    assert browser.run("document.querySelectorAll('i').length") == 0


def test_viewer_draws_every_series_without_a_word(browser, page, report):
    browser.open(page, width=1400)
    for i in (1, 2, 3):
        opened(browser, f"series-{i}-volume")
        drawn = canvas_pixels(browser, f"viewer_{i}")
        assert drawn.std() > 15, "more than one grey"
        assert len(np.unique(drawn.round())) > 60
        unit = report.sections[i - 1].volume.unit
        assert f" {unit} at " in browser.run(VALUE)
    assert_silent(browser, page)


def test_value_under_the_crosshair_is_the_volume_s(browser, page, report):
    """The reading at the start is the value there, to the rounding it states."""
    browser.open(page)
    opened(browser, "series-1-volume")
    volume = report.sections[0].volume
    image = nibabel.Nifti1Image.from_bytes(gzip.decompress(volume.nifti_gz))
    index = np.linalg.solve(image.affine, [*volume.start_ras_mm, 1.0])[:3].round().astype(int)
    expected = float(np.asarray(image.dataobj)[tuple(index)])
    assert abs(float(browser.run(VALUE).split()[0]) - expected) <= volume.step / 2 + 0.05
    sides = zip(("LR", "PA", "IS"), volume.start_ras_mm, strict=True)
    found = re.search(r" at (.) ([0-9.]+), (.) ([0-9.]+), (.) ([0-9.]+) mm$", browser.run(VALUE))
    for (pair, mm), letter, told in zip(
        sides, found.groups()[::2], found.groups()[1::2], strict=True
    ):
        assert letter in (pair if abs(mm) < 0.05 else pair[mm > 0])
        assert float(told) == pytest.approx(abs(mm), abs=0.0501)  # a half may be told up or down


def test_patient_right_is_on_the_left_and_the_scale_is_true(browser, page):
    """The phantom's thumb is on the patient's left; its field of view is 160 mm across."""
    browser.open(page, width=1400)
    opened(browser, "series-1-volume")
    left, top, width, height = browser.run(
        "(() => { const s = [...document.querySelectorAll('#viewer-scale')][0];"
        "const b = s.getBoundingClientRect(), c = s.parentElement.getBoundingClientRect();"
        "return [b.left - c.left, b.top - c.top, b.width, b.height]; })()"
    )
    length_mm = float(
        browser.run("document.getElementById('viewer-scale').textContent.split(' ')[0]")
    )
    mm_per_pixel = length_mm / width
    drawn = canvas_pixels(browser)
    # Planes are 8 pixels apart and black outside: the first is axial, the second coronal.
    columns = np.flatnonzero(drawn.max(axis=0) > 0)
    ends = np.flatnonzero(np.diff(columns) > 4)
    across_mm = (columns[ends[0]] - columns[0] + 1) * mm_per_pixel
    assert across_mm == pytest.approx(160, rel=0.01)
    coronal = drawn[:, columns[ends[0] + 1] : columns[ends[1]] + 1]
    coronal[:, :25] = 0  # the letter R
    tissue = np.flatnonzero((coronal > 0.3 * coronal.max()).sum(axis=0) > 3)
    to_screen_left, to_screen_right = (
        (coronal.shape[1] / 2 - tissue[0]) * mm_per_pixel,
        (tissue[-1] - coronal.shape[1] / 2) * mm_per_pixel,
    )
    # The thumb: 43 mm left of the middle, 17 mm to its side; the little finger: 27 and 9 mm.
    assert to_screen_right == pytest.approx(43 + 17, abs=5)
    assert to_screen_left == pytest.approx(27 + 9, abs=5)
    assert left >= 0
    assert top + height <= drawn.shape[0]


def test_controls_change_the_picture(browser, page):
    browser.open(page, width=1400)
    opened(browser, "series-3-volume")

    def set_to(key, value, event):
        browser.run(
            f"(() => {{ const c = document.getElementById('{key}'); c.value = {value};"
            f"c.dispatchEvent(new Event('{event}')); }})()"
        )
        browser.wait_for("new Promise((done) => requestAnimationFrame(() => done(true)))")

    bright = canvas_pixels(browser)
    set_to("viewer-frame", 0, "input")
    assert "Frame 1 of 6: 0 s" in browser.run(TEXT)
    assert canvas_pixels(browser).mean() < 0.7 * bright.mean(), "before the bolus"
    set_to("viewer-frame", 2, "input")
    set_to("viewer-high", 100, "change")
    assert canvas_pixels(browser).mean() < 0.3 * bright.mean(), "a hundred is out of reach"
    browser.run("document.getElementById('viewer-reset').click()")
    browser.wait_for("new Promise((done) => requestAnimationFrame(() => done(true)))")
    assert canvas_pixels(browser).mean() == pytest.approx(bright.mean(), rel=0.02)
    set_to("viewer-z", 0, "input")
    assert browser.run(VALUE).startswith("not measured at"), "the phantom's first slices are gaps"
    assert_silent(browser, page)


def test_a_series_that_cannot_be_shown_says_so_beside_its_button(browser, page):
    """Far down the page: a notice at its top would not be seen, nor heard."""
    browser.open(page, height=600)
    browser.run("document.getElementById('series-3-volume').textContent = 'H4sIAAAA'")
    browser.run("document.querySelector('[data-volume=series-3-volume]').click()")
    error = "document.getElementById('series-3-volume-error')"
    browser.wait_for(f"!{error}.hidden")
    assert "could not show this series" in browser.run(f"{error}.textContent")
    assert browser.run(f"{error}.getAttribute('role')") == "alert"
    top, bottom = browser.run(
        f"(({{top, bottom}}) => [top, bottom])({error}.getBoundingClientRect())"
    )
    assert 0 <= top < bottom <= 600
    assert not browser.run("document.getElementById('viewer').open")
    assert browser.run("document.activeElement.dataset.volume") == "series-3-volume"
    opened(browser, "series-1-volume")
    assert browser.run("document.getElementById('series-1-volume-error').hidden")


def test_keyboard_opens_and_closes_the_viewer(browser, page):
    browser.open(page)
    browser.run("document.querySelector('.open-viewer').focus()")

    def press(key, number, text=""):
        for kind in ("keyDown", "keyUp"):
            pressed = {"type": kind, "key": key, "code": key, "windowsVirtualKeyCode": number}
            browser.call("Input.dispatchKeyEvent", **pressed, text=text)

    press("Enter", 13, "\r")
    browser.wait_for(f"{SHOWN} === 'series-1-volume'")
    press("Escape", 27)
    browser.wait_for("!document.getElementById('viewer').open")
    assert browser.run("document.activeElement.dataset.volume") == "series-1-volume"


def test_without_scripts_the_pictures_stand_there(browser, page):
    browser.open(page, scripts=False)
    browser.screenshot(keep("no_scripts"))
    tree = browser.call("DOM.getDocument", depth=-1)["root"]["nodeId"]
    images = browser.call("DOM.querySelectorAll", nodeId=tree, selector="img")["nodeIds"]
    assert len(images) == 5
    buttons = browser.call("DOM.querySelectorAll", nodeId=tree, selector=".open-viewer[hidden]")
    assert len(buttons["nodeIds"]) == 3
    told = browser.call("DOM.performSearch", query="Scripts are off")["resultCount"]
    assert told >= 1
    assert_silent(browser, page)


def test_without_webgl_the_page_says_so(page, tmp_path):
    with Browser(tmp_path, NO_GL) as browser:
        browser.open(page)
        assert "This browser has no WebGL 2" in browser.run(TEXT)
        assert browser.run("[...document.querySelectorAll('.open-viewer')].every((b) => b.hidden)")
        assert browser.run("[...document.images].every((i) => i.naturalWidth > 100)")
        browser.screenshot(keep("no_webgl"))
        assert_silent(browser, page)


def test_on_paper_everything_is_open_and_no_button_is_left(browser, page):
    browser.open(page)
    browser.call("Emulation.setEmulatedMedia", media="print")
    browser.run("window.dispatchEvent(new Event('beforeprint'))")
    assert browser.run("[...document.querySelectorAll('details')].every((d) => d.open)")
    visible = "[...document.querySelectorAll('button')].some((b) => b.offsetParent !== null)"
    assert not browser.run(visible)
    browser.screenshot(keep("paper"))
    browser.run("window.dispatchEvent(new Event('afterprint'))")
    assert not browser.run("[...document.querySelectorAll('details')].some((d) => d.open)")
    browser.call("Emulation.setEmulatedMedia", media="")
