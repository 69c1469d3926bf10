"""The page that `exam` makes of both hands, in a real browser and picture by picture."""

import base64
import io
import re
import subprocess
import sys

import numpy as np
import pytest
from browser import Browser, chromium
from PIL import Image

SHOWN = "document.getElementById('viewer').dataset.shown"


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exam")
    raw, out = folder / "raw", folder / "out"
    ultrahand("simulate", raw, "--size", "tiny", "--hand", "both")
    ultrahand("exam", raw / "exam.toml", "-o", out)
    return out / "report.html"


def ultrahand(*arguments):
    subprocess.run([sys.executable, "-m", "ultrahand", *map(str, arguments), "-q"], check=True)


def pictures(page):
    """Return the pictures of a page by their words, as greys."""
    found = re.findall(
        r'<img src="data:image/png;base64,([^"]+)" alt="([^"]*)"', page.read_text("utf-8")
    )
    return {
        words: np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("L"), float)
        for data, words in found
    }


def test_every_plane_of_the_morphology_shows_a_hand(page):
    """With both hands in view the middle of the signal is air, and the sagittal plane was black."""
    (picture,) = (p for words, p in pictures(page).items() if words.startswith("morphology: three"))
    # Planes stand beside each other, black lines around them and white between.
    inside = (picture < 250).mean(axis=0) > 0.09
    edges = np.flatnonzero(np.diff(np.concatenate([[0], inside.astype(int), [0]])))
    planes = [
        picture[:, left:right]
        for left, right in zip(edges[::2], edges[1::2], strict=True)
        if right - left > 40
    ]
    assert len(planes) == 3
    for plane in planes:
        rows = plane[(plane < 250).mean(axis=1) > 0.3]
        tissue = (rows > 40) & (rows < 250)
        assert tissue.mean() > 0.15


def test_the_page_says_which_hand_is_cut_and_what_is_enhanced(page):
    words = " ".join(pictures(page))
    assert "morphology: three planes. Three planes through the centre of one of 2" in words
    assert "against the mean of volumes 1 to 2" in words


def test_no_folder_of_this_machine_is_on_the_page(page):
    text = page.read_text("utf-8")
    assert str(page.parent.parent) not in text
    assert "max_memory_bytes" not in text


@pytest.mark.skipif(chromium() is None, reason="no Chromium is installed (Debian: chromium)")
def test_the_viewer_opens_every_series_in_a_hand_and_the_console_is_silent(page, tmp_path):
    with Browser(tmp_path) as browser:
        browser.open(page, width=1400)
        keys = browser.run(
            "[...document.querySelectorAll('.open-viewer')].map((b) => b.dataset.volume)"
        )
        assert len(keys) == 7
        for key in keys:
            browser.run(f"document.querySelector('[data-volume={key}]').click()")
            browser.wait_for(f"{SHOWN} === '{key}'")
            value = browser.run("document.getElementById('viewer-value').textContent")
            number = float(value.split()[0])
            high = float(browser.run("document.getElementById('viewer-high').value"))
            assert number > 0.1 * high, f"{key} opens on air: {value}"
            assert canvas(browser).std() > 10, f"{key}: more than one grey"
        assert browser.complaints() == []


def canvas(browser):
    """Return the greys of the screen where the viewer draws."""
    x, y, width, height = (
        round(v)
        for v in browser.run(
            "(({x, y, width, height}) => [x, y, width, height])"
            "(document.getElementById('viewer-canvas').getBoundingClientRect())"
        )
    )
    picture = Image.open(io.BytesIO(browser.screenshot()))
    return np.asarray(picture.convert("L"), float)[y : y + height, x : x + width]
