"""Reports for the tests: a real examination of a phantom, and small ones made of given text."""

import struct
import zlib
from dataclasses import replace

import numpy as np

from making import volumes
from ultrahand.phantoms import CartesianScan, ThermalNoise, five_fingers, simulate, uniform_coil
from ultrahand.phantoms import truth as truth_of
from ultrahand.records.findings import Finding, Level, info, warning
from ultrahand.report.content import Fact, Picture, Report, Section, Status, Table, Volume
from ultrahand.report.display import display_volume
from ultrahand.report.frames import frames_png
from ultrahand.report.planes import brightest_frame, planes_png

FOV = (0.16, 0.12, 0.2)
BOLUS = (0.0, 0.1, 1.0, 0.7, 0.5, 0.4)


def png(width=3, height=2, grey=128, padding=0):
    """Return a PNG file written by hand; padding is carried in a private chunk."""

    def chunk(name, data):
        body = name + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = (b"\0" + bytes([grey]) * width) * height
    parts = [chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    parts.insert(1, chunk(b"prVt", bytes(padding)))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def report_of(text, *, volume_bytes=1000, n=1):
    """Return a report in which every place for text holds the given text."""
    picture = Picture(png=png(), title=text, caption=text)
    volume = Volume(
        nifti_gz=b"\x1f\x8b" + bytes(volume_bytes - 2),
        name=text,
        unit=text,
        window=(0.0, 1.0),
        frames=(text, text),
        note=text,
        image=text,
    )
    fact = Fact(name=text, value=text, unit=text)
    findings = tuple(
        Finding(level=level, field=text, found=text, expected=text, remedy=text) for level in Level
    )
    done = Section(
        title=text,
        status=Status.DONE,
        summary=text,
        facts=(fact,),
        findings=findings,
        pictures=(picture,),
        volume=volume,
        tables=(Table(title=text, columns=(text, text), rows=((text, text),), note=text),),
        provenance=(fact,),
    )
    failed = Section(title=text, status=Status.FAILED, reason=text)
    return Report(
        title=text,
        subtitle=text,
        hand="left",
        facts=(fact,),
        findings=findings,
        sections=(done,) * n + (failed,),
        results=(Section(title=text, status=Status.MISSING, reason=text),),
        provenance=(fact,),
        citations=(text,),
    )


def phantom_images(rng):
    """Return ``{name: (values, geometry, unit)}``: reconstructed and, the bolus, simulated."""
    noise = ThermalNoise(covariance=np.eye(1) * 1e-13, n_readouts=32, n_samples=256)
    proton = CartesianScan(matrix=(48, 40, 32), fov_m=FOV, dimension=3, noise=noise)
    sodium = replace(proton, matrix=(24, 20, 20), nucleus="23Na", echo_times_s=(5e-4, 5e-3))
    fingers = five_fingers(FOV)
    decaying = [replace(part, r2star_per_s=150.0) for part in fingers]
    made = {}
    for name, scan, objects in (("proton", proton, fingers), ("sodium", sodium, decaying)):
        raw = simulate(objects, uniform_coil(), scan, rng)
        images = [parts["mag"] for _, _, parts in volumes(raw)]
        values = np.stack([image.values for image in images])
        made[name] = (values if len(values) > 1 else values[0], images[0].geometry, images[0].unit)
    geometry = made["sodium"][1]
    hand = truth_of(fingers, geometry)
    frames = np.stack([0.05 * np.abs(rng.standard_normal(hand.shape)) + hand * b for b in BOLUS])
    frames[:, :3] = np.nan
    made["dynamic"] = (frames.astype(np.float32), geometry, "arbitrary")
    return made


def examination(rng):
    """Return a report of a whole examination: three series done, one failed, one missing."""
    at_s = {"sodium": (5e-4, 5e-3), "dynamic": tuple(7.5 * i for i in range(len(BOLUS)))}
    sections = []
    for name, (values, geometry, unit) in phantom_images(rng).items():
        many = values.ndim == 4
        still = values[brightest_frame(values)] if many else values
        pictures = [(planes_png(still, geometry, unit=unit, title=name), "Three planes.")]
        if many:
            axis = "echo time" if name == "sodium" else "time"
            series = frames_png(values, geometry, unit=unit, title=name, at_s=at_s[name], axis=axis)
            pictures.append((series, "Frames and the mean signal."))
        names = [f"{t:g} s" for t in at_s[name]] if many else []
        section = Section(
            title=f"{name} <i>series</i>",
            status=Status.DONE,
            summary=f"{geometry.shape} voxels",
            facts=(Fact(name="RepetitionTime", value="0.02", unit="s"),),
            findings=(info("method", found="fft", expected="a method"),),
            pictures=tuple(
                Picture(png=data, title=name, caption=caption) for data, caption in pictures
            ),
            volume=display_volume(
                values, geometry, name=name, unit=unit, limit_bytes=300_000, frame_names=names
            ),
            provenance=(Fact(name="command", value=f"ultrahand recon {name}.h5"),),
        )
        sections.append(section)
    sections += [
        Section(title="TQ", status=Status.FAILED, reason="readout 17: found 64 samples, not 128"),
        Section(title="B1 map", status=Status.MISSING, reason="b1.h5 is not in the folder"),
    ]
    no_vials = "exam.toml names no vials table"
    return Report(
        title="Examination of a phantom",
        subtitle="sub-01 <script>window.spoiled = 1</script>",
        hand="right",
        findings=(warning("studyTime", found="none", expected="hhmmss", remedy="none needed"),),
        sections=tuple(sections),
        results=(
            Section(title="Articular sodium", status=Status.MISSING, reason=no_vials),
            Section(title="Perfusion", status=Status.SKIPPED, reason="no contrast agent"),
        ),
        citations=("A paper.",),
    )
