"""A whole examination of the digital hand, from raw data to a report; real files where they are.

``python examples/demo.py FOLDER``: the raw files of an examination of a digital 7 T hand go to
``FOLDER/hand``, its images and its report to ``FOLDER/exam``. With ``ULTRAHAND_TEST_DATA`` naming
the folder of the real data sets, those are reconstructed into ``FOLDER/real``, with pictures.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

from ultrahand.io.read_images import unpack_series
from ultrahand.report.planes import brightest_frame, draw_planes

REAL = {
    "brain": "brain_cartesian_8ch/brain_8ch.h5",
    "urea_15n": "xnuclei_15n_dynamic_kspace/urea_15n.h5",
    "spiral": "jemris_spiral_ismrmrd/signals_spiralout_clean_slc30.h5",
    "spiral_susceptibility": "jemris_spiral_ismrmrd/signals_spiralout_Susc70Mhz_slc30.h5",
}


def main():
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "demo")
    folder.mkdir(parents=True, exist_ok=True)
    hand, exam = folder / "hand", folder / "exam"
    ultrahand("simulate", hand, "--preset", "ssc_severe", "--force")
    ultrahand("exam", hand / "exam.toml", "-o", exam)
    pictures = real_pictures(folder / "real")
    print(f"report: {exam / 'report.html'}")
    if pictures:
        print("pictures of real data:", *pictures, sep="\n  ")


def ultrahand(*arguments):
    """Say a command and run it."""
    print("ultrahand", *arguments, flush=True)
    command = [sys.executable, "-m", "ultrahand", *map(str, arguments)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def real_pictures(folder):
    """Reconstruct the real files, where they are, and draw them."""
    given = os.environ.get("ULTRAHAND_TEST_DATA")
    if not given or not Path(given).is_dir():
        print("real data: none (ULTRAHAND_TEST_DATA is not set)")
        return []
    folder.mkdir(exist_ok=True)
    pictures = []
    for name, place in REAL.items():
        image = folder / f"{name}.nii.gz"
        ultrahand("recon", Path(given) / place, "-o", image, "--force")
        pictures.append(picture(image))
    return pictures


def picture(image):
    """Draw the planes of an image; of a series, the volume with the most signal."""
    stem = image.name.removesuffix(".nii.gz")
    sidecar = json.loads(image.with_name(f"{stem}.json").read_text())
    unpacked = image.with_name(f"{stem}.unpacked")
    series = unpack_series(image, unpacked)
    frame = brightest_frame(series)
    values = series[frame]
    unpacked.unlink()
    note = f", frame {frame + 1} of {len(series)}" if len(series) > 1 else ""
    title = f"{stem}{note}: {sidecar['ResonantNucleus']}, {sidecar['ReconstructionMethod']}"
    path = image.with_name(f"{stem}.png")
    draw_planes(path, values, series.geometry, unit=sidecar["Units"], title=title)
    return path


if __name__ == "__main__":
    main()
