"""What a report shows of one image: pictures, a volume for the viewer, noise in numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ultrahand.pipelines.exam_noise import LoadedImage, noise_facts, signal_of, volume_tables
from ultrahand.records.arrays import Bools
from ultrahand.report.content import Fact, Picture, Table, Volume
from ultrahand.report.cuts import Cut, signal_cut
from ultrahand.report.display import display_volume
from ultrahand.report.frames import frames_png
from ultrahand.report.planes import brightest_frame, planes_of, planes_png

_AXES: Final = {"echo": "echo time", "frame": "time", "rep": "time", "phase": "time"}
"""Fourth dimension of an image to what its places are."""
_HANGING: Final = "The patient's right is on the left; the letters are the patient's directions."
_UNKNOWN: Final = "The axes are those of the scan: where they lie in the patient is not known."
_WINDOW: Final = "Black is 0, or the least value; white is the 99.8th percentile and above."
_PART: Final = "part-"
"""What is in the name of every image that is no magnitude."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ImagePart:
    """What a section shows of one image."""

    pictures: tuple[Picture, ...]
    volume: Volume | None
    noise: tuple[Fact, ...]
    tables: tuple[Table, ...]


def part_of(image: LoadedImage, *, title: str, draw: bool, limit_bytes: int | None) -> ImagePart:
    """Return what a report shows of an image.

    Parameters
    ----------
    image
        The image; its volumes are read one at a time.
    title
        What it is; never anything that identifies a patient.
    draw
        Whether to make pictures, which needs matplotlib.
    limit_bytes
        Size of the volume for the viewer; None for none.
    """
    labels = frame_labels(image.sidecar, len(image.values))
    if _PART in image.name:  # phase, real or imaginary: brightness and signal have no meaning
        return ImagePart(
            pictures=(_planes(image, title, labels, 0),) if draw else (),
            volume=None,
            noise=(),
            tables=(),
        )
    shown = brightest_frame(image.values)
    signal = signal_of(image)
    volume = None
    if limit_bytes is not None:
        volume = display_volume(
            image.values,
            image.geometry,
            name=title,
            unit=image.unit,
            limit_bytes=limit_bytes,
            frame_names=labels if len(labels) > 1 else (),
        )
    return ImagePart(
        pictures=_pictures(image, title, labels, shown, signal) if draw else (),
        volume=volume,
        noise=noise_facts(image, signal, shown, labels),
        tables=volume_tables(image, signal, labels),
    )


def frame_labels(sidecar: Mapping[str, object], n_frames: int) -> tuple[str, ...]:
    """Return what tells the volumes of an image apart, one text a volume.

    Parameters
    ----------
    sidecar
        Fields of the image.
    n_frames
        Its volumes.
    """
    at_s = places_s(sidecar, n_frames)
    if at_s is not None:
        small = max(map(abs, at_s)) < 1
        return tuple(f"{t * 1e3:.3g} ms" if small else f"{t:.1f} s" for t in at_s)
    found = [f"{sidecar.get('FourthDimension', 'volume')} {i + 1}" for i in range(n_frames)]
    for field, text in (("FlipAngle", "{:g}\u00b0"), ("InversionTime", "TI {:g} s")):
        values = _numbers(sidecar.get(field), n_frames)
        if values is not None:
            return tuple(f"{f}: {text.format(v)}" for f, v in zip(found, values, strict=True))
    values = _numbers(sidecar.get("RepetitionTime"), n_frames)
    if values is not None:
        return tuple(f"{f}: TR {1e3 * v:g} ms" for f, v in zip(found, values, strict=True))
    return tuple(found)


def places_s(sidecar: Mapping[str, object], n_frames: int) -> tuple[float, ...] | None:
    """Return where volumes lie on their axis in seconds: echo times, or mean times of frames.

    Parameters
    ----------
    sidecar
        Fields of the image.
    n_frames
        Its volumes.
    """
    axis = _AXES.get(str(sidecar.get("FourthDimension")))
    field = "EchoTime" if axis == "echo time" else "FrameTimesMean"
    return _numbers(sidecar.get(field), n_frames) if axis and n_frames > 1 else None


def _numbers(value: object, n: int) -> tuple[float, ...] | None:
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) != n or n < 2:
        return None
    if not all(isinstance(v, (int, float)) for v in value):
        return None
    return tuple(float(v) for v in value)


def _pictures(
    image: LoadedImage, title: str, labels: tuple[str, ...], shown: int, signal: Bools
) -> tuple[Picture, ...]:
    planes = _planes(image, title, labels, shown)
    if len(labels) == 1:
        return (planes,)
    at_s = places_s(image.sidecar, len(image.values))
    axis = _AXES.get(str(image.sidecar.get("FourthDimension")), "set")
    panels = "the brightest voxel along the thinnest axis" if axis == "time" else "one slice"
    series = Picture(
        png=frames_png(
            image.values,
            image.geometry,
            unit=image.unit,
            title=title,
            at_s=at_s,
            axis=axis,
            labels=labels,
            signal=signal,
        ),
        title=f"{title}: its volumes side by side",
        caption=f"Each panel shows {panels}, all in one window. Below: the mean of each "
        "volume over the voxels with signal.",
    )
    return planes, series


def _planes(image: LoadedImage, title: str, labels: tuple[str, ...], shown: int) -> Picture:
    many = len(labels) > 1
    which = f"{title}, {labels[shown]}" if many else title
    of_many = f", of volume {shown + 1} of {len(labels)}" if many else ""
    hanging = _HANGING if image.geometry.known else _UNKNOWN
    values = image.values[shown]
    cut = signal_cut(values, image.geometry)
    planes = "three planes" if len(planes_of(values.shape)) > 1 else "one plane"
    return Picture(
        png=planes_png(values, image.geometry, unit=image.unit, title=which, cut=cut),
        title=f"{which}: {planes}",
        caption=f"{planes.capitalize()} through the centre of {_object(cut)}{of_many}. "
        f"{hanging} {_WINDOW}",
    )


def _object(cut: Cut) -> str:
    """Say what the planes cut: with two hands in view, one of them."""
    if cut.n_alike < 2:
        return "the signal"
    side = f", that towards {cut.towards}" if cut.towards else ""
    return f"one of {cut.n_alike} separate objects{side}"
