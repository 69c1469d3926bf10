"""From the options of a reconstruction to images in an output set: shared by recon and exam."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ultrahand.cli import opening
from ultrahand.cli.arguments import input_files
from ultrahand.cli.naming import Naming, entities_of
from ultrahand.cli.opening import Opened
from ultrahand.cli.sidecars import fields_of, provenance_of
from ultrahand.io.nifti import NiftiWriter
from ultrahand.io.sidecar import sha256_of, write_sidecar
from ultrahand.records import Finding, Image

if TYPE_CHECKING:
    from ultrahand.io.outputs import OutputSet
    from ultrahand.pipelines import VolumeImages, Workspace
    from ultrahand.pipelines.timing import FrameTimes
    from ultrahand.recon.sorting import Series
    from ultrahand.records.arrays import Float32


@dataclass(frozen=True, slots=True)
class Made:
    """A reconstruction whose files wait in their output set."""

    opened: Opened
    findings: tuple[Finding, ...]
    """On the file and on every image."""


@dataclass(frozen=True, slots=True)
class _Written:
    """A series whose images are written; its sidecars follow when all findings are known."""

    series: Series
    images: Mapping[str, Image]
    """Part to any volume of it; the magnitude's name is empty."""
    steps: tuple[str, ...]
    times: FrameTimes | None
    sidecars: Mapping[str, Path]
    """Part to the place of its sidecar."""
    findings: tuple[Finding, ...]


def reconstruct(
    options: argparse.Namespace,
    naming: Naming,
    outputs: OutputSet,
    *,
    command: str,
    title: str = "",
    hash_of: Callable[[Path], str] = sha256_of,
    check: Callable[[Opened], tuple[Finding, ...] | None] = lambda _: None,
) -> Made:
    """Reconstruct a measurement; nothing is in its place before ``outputs`` is committed.

    Parameters
    ----------
    options
        Those of ``ultrahand recon``.
    naming
        What the files are called.
    outputs
        Takes them.
    command
        The command that makes them again, for the sidecars.
    title
        Name of the measurement in messages and beside the progress bar, where there are several.
    hash_of
        Returns the sha256 of an input.
    check
        Called with the plan before any sample is read; may refuse, and returns further findings.

    Raises
    ------
    UltrahandError
        What is refused, by the file, the options or ``check``.
    """
    raw = opening.read(options)
    with ExitStack() as stack:
        pool = ThreadPoolExecutor(4)  # hashing and gzip release the GIL
        stack.callback(pool.shutdown, wait=False, cancel_futures=True)
        # Hashing takes as long as reading: it begins while the science is still imported.
        inputs = input_files(options)
        digests = {role: pool.submit(hash_of, path) for role, path in inputs.items()}
        if raw.readouts["active_channels"].max() > 1:
            pool.submit(_load_kernels)
        opened = opening.plan(raw, options)
        from ultrahand.pipelines import Workspace
        from ultrahand.pipelines.memory import memory_needed

        memory_needed(raw, opened.plan)  # refuse before hours of work, not after
        known = (*opened.findings, *(check(opened) or ()))
        with _bar(opened, title, show=not options.quiet) as progress:
            workspace = Workspace(progress=progress)
            made = [
                _write_images(opened, series, naming, outputs, workspace, pool)
                for series in opened.plan.series
            ]
        workspace.watch.check(opened.raw)
        seen = [*workspace.watch.findings(), *dict.fromkeys(workspace.notes)]
        opening.say((*known, *seen), of=title)  # not before: a refusal is one line
        for written in made:
            findings = (*known, *seen, *written.findings)
            _write_sidecars(opened, written, findings, digests, command)
    of_images = [finding for written in made for finding in written.findings]
    return Made(opened, tuple(dict.fromkeys((*known, *seen, *of_images))))


def _load_kernels() -> None:
    """Load the compiled kernels while the file is read; it takes half a second."""
    from ultrahand import kernels

    kernels.add_squares(np.ones((1, 1), np.complex64), np.zeros(1, np.float32))


def _write_images(
    opened: Opened,
    series: Series,
    naming: Naming,
    outputs: OutputSet,
    workspace: Workspace,
    pool: ThreadPoolExecutor,
) -> _Written:
    """Reconstruct one series volume by volume and write each part as it comes."""
    from ultrahand.pipelines import reconstruct_volume
    from ultrahand.pipelines.timing import IN_TIME, frame_times

    times, findings = frame_times(opened.raw, series)
    entities = entities_of(series.entities)
    writers: dict[tuple[str, bool], NiftiWriter] = {}
    with ExitStack() as stack:
        for volume in series.volumes:
            made = reconstruct_volume(opened.raw, opened.plan, series, volume, workspace)
            images = _by_part(made)
            arrays = list(_arrays(images))
            for part, error, _ in arrays:
                if (part, error) not in writers:
                    writer = NiftiWriter(
                        outputs.claim(naming.image(entities, part, error=error)),
                        compress=naming.suffix.endswith(".gz"),
                        geometry=images[part].geometry,
                        n_frames=len(series.volumes),
                        frame_step_s=_step(times) if series.frame_axis in IN_TIME else 0.0,
                    )
                    writers[part, error] = stack.enter_context(writer)
            jobs = [pool.submit(writers[p, error].append, values) for p, error, values in arrays]
            for job in jobs:
                job.result()
    sidecars = {part: outputs.claim(naming.sidecar(entities, part)) for part in images}
    return _Written(series, images, made.steps, times, sidecars, tuple(findings))


def _write_sidecars(
    opened: Opened,
    written: _Written,
    findings: tuple[Finding, ...],
    digests: Mapping[str, Future[str]],
    command: str,
) -> None:
    known = {role: digest.result() for role, digest in digests.items()}
    provenance = provenance_of(
        opened, written.series, written.steps, findings, digests=known, command=command
    )
    for part, image in written.images.items():
        fields = fields_of(opened, written.series, image, written.times, provenance)
        write_sidecar(written.sidecars[part], fields)


def _by_part(made: VolumeImages) -> dict[str, Image]:
    """Return the parts as they stand in a file's name; the magnitude has none."""
    return {"" if part == "mag" else f"_part-{part}": image for part, image in made.parts.items()}


def _arrays(images: Mapping[str, Image]) -> Iterator[tuple[str, bool, Float32]]:
    """Yield what goes into files: the part, whether it is a standard error, the values."""
    for part, image in images.items():
        yield part, False, np.asarray(image.values, np.float32)
        if image.standard_error is not None:
            yield part, True, image.standard_error


def _step(times: FrameTimes | None) -> float:
    if times is None or len(times.start_s) < 2:
        return 0.0
    return (times.start_s[-1] - times.start_s[0]) / (len(times.start_s) - 1)


@contextmanager
def _bar(opened: Opened, title: str, *, show: bool) -> Iterator[Callable[[int], None]]:
    """Show progress over readouts, on a terminal only."""
    from tqdm import tqdm

    total = sum(len(volume.rows) for s in opened.plan.series for volume in s.volumes)
    quiet = not (show and sys.stderr.isatty())
    with tqdm(total=total, unit="readout", disable=quiet, leave=False, desc=title or None) as bar:
        yield bar.update
