"""Make phantom files, reconstruct them and the real ones where they are, and draw pictures.

``python examples/demo.py FOLDER``: raw files, images, sidecars and pictures go there. With
``ULTRAHAND_TEST_DATA`` naming the folder of the real data sets, those are reconstructed too.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np

from ultrahand.io.write_ismrmrd import write_hdf5, write_stream
from ultrahand.phantoms import (
    CartesianScan,
    NonCartesianScan,
    ThermalNoise,
    five_fingers,
    k_max_per_m,
    radial_3d,
    random_covariance,
    simulate,
    smooth_coils,
    uniform_coil,
)
from ultrahand.records import Geometry
from ultrahand.report.planes import draw_planes

FOV = (0.16, 0.16, 0.2)
TURN, NOD = np.deg2rad((8.0, 3.0))
TILT = {  # an oblique scan: turned about the long axis of the hand, then nodded
    "read_dir": (np.cos(TURN), np.sin(TURN), 0.0),
    "phase_dir": (-np.sin(TURN) * np.cos(NOD), np.cos(TURN) * np.cos(NOD), np.sin(NOD)),
    "slice_dir": (np.sin(TURN) * np.sin(NOD), -np.cos(TURN) * np.sin(NOD), np.cos(NOD)),
}
REAL = {
    "brain": "brain_cartesian_8ch/brain_8ch.h5",
    "urea_15n": "xnuclei_15n_dynamic_kspace/urea_15n.h5",
    "spiral": "jemris_spiral_ismrmrd/signals_spiralout_clean_slc30.h5",
    "spiral_susceptibility": "jemris_spiral_ismrmrd/signals_spiralout_Susc70Mhz_slc30.h5",
}


def main():
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "demo")
    folder.mkdir(parents=True, exist_ok=True)
    raw = make_phantoms(folder)
    real = os.environ.get("ULTRAHAND_TEST_DATA")
    if real and Path(real).is_dir():
        raw |= {name: Path(real) / place for name, place in REAL.items()}
    else:
        print("real data: none (ULTRAHAND_TEST_DATA is not set)")
    pictures = []
    for name, path in raw.items():
        image = folder / f"{name}.nii.gz"
        print(f"ultrahand recon {path.name} -o {image}")
        command = [sys.executable, "-m", "ultrahand", "recon", path, "-o", image, "--force"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        pictures.append(picture(image))
    print("pictures:")
    for path in pictures:
        print(f"  {path}")


def make_phantoms(folder):
    """Write a proton and a sodium scan of one object in one frame."""
    rng = np.random.default_rng(7)
    fingers = five_fingers(FOV)
    noise = ThermalNoise(
        covariance=random_covariance(rng, 8, 2e-13), n_readouts=64, n_samples=512, dwell_s=8e-6
    )
    proton = CartesianScan(
        matrix=(128, 128, 80),
        fov_m=FOV,
        dimension=3,
        readout_oversampling=2.0,
        partial_echo=(40, 0),
        partial_fourier_1=(16, 0),
        noise=noise,
        vendor="SIEMENS",
        **TILT,
    )
    sodium = NonCartesianScan(
        matrix=(48, 48, 48),
        fov_m=(0.21, 0.21, 0.21),
        dimension=3,
        k_per_m=radial_3d(4000, 64, k_max_per_m(48, 0.21)),
        trajectory="radial",
        nucleus="23Na",
        noise=ThermalNoise(covariance=np.eye(1) * 4e-12, n_readouts=64, n_samples=512),
        **TILT,
    )
    written = {"proton": folder / "proton.h5", "sodium": folder / "sodium.mrd"}
    write_hdf5(simulate(fingers, smooth_coils(8, FOV), proton, rng), written["proton"])
    write_stream(simulate(fingers, uniform_coil(), sodium, rng), written["sodium"])
    return written


def picture(image_path):
    """Draw the planes of an image; of a series, the volume with the most signal."""
    image = nibabel.load(image_path)
    stem = image_path.name.removesuffix(".nii.gz")
    sidecar = json.loads(image_path.with_name(f"{stem}.json").read_text())
    data = np.asarray(image.dataobj)
    note = ""
    if data.ndim == 4:
        frame = int(np.argmax(np.percentile(data, 99, axis=(0, 1, 2))))
        data, note = data[..., frame], f", frame {frame + 1} of {data.shape[3]}"
    geometry = Geometry(
        shape=data.shape[::-1],
        voxel_size_m=tuple(v * 1e-3 for v in sidecar["VoxelSize_mm"]),
        position_mm=np.zeros(3),
        read_dir=np.array(sidecar["ReadDirection_LPS"]),
        phase_dir=np.array(sidecar["PhaseDirection_LPS"]),
        slice_dir=np.array(sidecar["SliceDirection_LPS"]),
        known=sidecar["Geometry"] == "known",
    )
    path = image_path.with_name(f"{stem}.png")
    title = f"{stem}{note}: {sidecar['ResonantNucleus']}, {sidecar['ReconstructionMethod']}"
    draw_planes(path, data.T, geometry, unit=sidecar["Units"], title=title)
    return path


if __name__ == "__main__":
    main()
