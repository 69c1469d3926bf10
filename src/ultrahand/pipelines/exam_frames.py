"""What a report shows of the volumes of a series: their names, and a picture of all together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from ultrahand.pipelines.exam_noise import LoadedImage
from ultrahand.records.arrays import Bools
from ultrahand.report.content import Picture
from ultrahand.report.enhancement import MIN_FRAMES, SHORT, Early, early_frames, short_frames
from ultrahand.report.frames import frames_png
from ultrahand.report.series_frames import mean_signal

_AXES: Final = {"echo": "echo time", "frame": "time", "rep": "time", "phase": "time"}
"""Fourth dimension of an image to what its places are."""
_CONTRAST: Final = "frame"
"""Fourth dimension of a series that is watched for contrast agent."""


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


def series_picture(
    image: LoadedImage, title: str, labels: tuple[str, ...], signal: Bools
) -> Picture:
    """Return the volumes of an image side by side, above their mean signal.

    Parameters
    ----------
    image
        Of two volumes or more.
    title
        What it is; never anything that identifies a patient.
    labels
        As `frame_labels` gives them.
    signal
        Voxels ``(z, y, x)`` of the mean.
    """
    axis = _AXES.get(str(image.sidecar.get("FourthDimension")), "set")
    early = _early(image, signal)
    return Picture(
        png=frames_png(
            image.values,
            image.geometry,
            unit=image.unit,
            title=title,
            at_s=places_s(image.sidecar, len(image.values)),
            axis=axis,
            labels=labels,
            signal=signal,
            early=early,
        ),
        title=f"{title}: its volumes side by side",
        caption=f"{_told(image.sidecar, axis, labels, early)} Below: the mean of each volume over "
        "the voxels with signal.",
    )


def _early(image: LoadedImage, signal: Bools) -> Early | None:
    """Return the frames before enhancement; None for what the sidecar says is no such series."""
    if image.sidecar.get("FourthDimension") != _CONTRAST or not signal.any():
        return None
    durations = _numbers(image.sidecar.get("FrameDuration"), len(image.values)) or ()
    means = mean_signal(image.values, signal)
    return early_frames([float(mean) for mean in means], short_frames(durations))


def _told(
    sidecar: Mapping[str, object], axis: str, labels: tuple[str, ...], early: Early | None
) -> str:
    """Say what the panels of a series show, and why."""
    if early is None:
        panels = "the brightest voxel along the thinnest axis" if axis == "time" else "one slice"
        dimension = sidecar.get("FourthDimension")
        why = ""
        if axis == "time":
            reason = (
                f"too few whole frames with signal (fewer than {MIN_FRAMES})"
                if dimension == _CONTRAST
                else f"volumes along {dimension} are not taken for a contrast series"
            )
            why = f" No differences are shown: {reason}."
        return f"Each panel shows {panels}, all in one window.{why}"
    first, last = early.frames[0], early.frames[-1]
    left_out = (
        f" In no panel, open circles in the curve: {len(early.short)} of {len(labels)} volumes, "
        f"shorter than {100 * SHORT:.0f} % of the median duration."
        if early.short
        else ""
    )
    return (
        "Each panel shows what became brighter: the difference against the mean of volumes "
        f"{first + 1} to {last + 1} ({labels[first]} to {labels[last]}), its brightest voxel along "
        "the thinnest axis, all in one window: black is no difference or less, white the "
        "98th percentile and above. These are the volumes up to the steepest rise of the mean "
        "signal, at least two and at most a quarter of all; differences are shown because the "
        "volumes are frames in time. Where many volumes come after them, a panel is the mean of "
        "several, of more the later they are." + left_out
    )
