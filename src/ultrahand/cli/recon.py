"""``ultrahand recon``: raw data to images."""

from __future__ import annotations

import argparse
import json
import re
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ultrahand import __version__
from ultrahand.cli import opening
from ultrahand.cli.opening import Opened
from ultrahand.cli.supervise import finish_undisturbed
from ultrahand.errors import UsageError
from ultrahand.io.nifti import NiftiWriter
from ultrahand.io.outputs import OutputSet
from ultrahand.io.sidecar import sha256_of, write_sidecar
from ultrahand.records import Finding, Image, Provenance

if TYPE_CHECKING:
    from ultrahand.pipelines import VolumeImages, Workspace
    from ultrahand.pipelines.timing import FrameTimes
    from ultrahand.recon.sorting import Series
    from ultrahand.records.arrays import Float32

SUFFIXES = (".nii.gz", ".nii")


@dataclass(frozen=True, slots=True)
class _Written:
    """A series whose images are written; its sidecars follow when all findings are known."""

    series: Series
    images: Mapping[str, Image]
    """Ending of the name to any volume of that part."""
    steps: tuple[str, ...]
    times: FrameTimes | None
    sidecars: Mapping[str, Path]
    """Ending of the name to the place of its sidecar."""
    findings: tuple[Finding, ...]


def run(options: argparse.Namespace) -> int:
    """Reconstruct a file; print the files written, one a line."""
    stem, suffix = split_suffix(Path(options.output))
    log = [Path(options.log)] if options.log else []
    with OutputSet(force=options.force, inputs=[Path(options.raw), *log]) as early:
        # Refuse what cannot be written before hours of work.
        for name in (f"{stem.name}{suffix}", f"{stem.name}_stderr{suffix}", f"{stem.name}.json"):
            early.claim(stem.with_name(name))
    raw = opening.read(options)
    with ExitStack() as stack:
        pool = ThreadPoolExecutor(4)  # hashing and gzip release the GIL
        stack.callback(pool.shutdown, wait=False, cancel_futures=True)
        inputs = opening.inputs_of(options)
        kept = [*inputs.values(), *log]
        outputs = stack.enter_context(OutputSet(force=options.force, inputs=kept))
        # Hashing takes as long as reading: it begins while the science is still imported.
        digests = {role: pool.submit(sha256_of, path) for role, path in inputs.items()}
        if raw.readouts["active_channels"].max() > 1:
            pool.submit(_load_kernels)
        opened = opening.plan(raw, options)
        from ultrahand.pipelines import Workspace
        from ultrahand.pipelines.memory import memory_needed

        memory_needed(raw, opened.plan)  # refuse before hours of work, not after
        names = [stem.name + _entities(series) for series in opened.plan.series]
        for name in names:  # before hours of work
            for ending in (suffix, ".json"):
                outputs.check(stem.with_name(name + ending))
        _retire_earlier(outputs, stem, suffix, names)
        workspace = Workspace(progress=stack.enter_context(_bar(opened, show=not options.quiet)))
        made = [
            _write_images(opened, series, stem, suffix, outputs, workspace, pool)
            for series in opened.plan.series
        ]
        workspace.watch.check(opened.raw)
        seen = workspace.watch.findings()
        opening.say((*opened.findings, *seen))  # not before: a refusal is one line
        for written in made:
            findings = (*opened.findings, *seen, *written.findings)
            _write_sidecars(opened, written, findings, digests, options)
        finish_undisturbed()
        paths = outputs.commit()
    _say_what_else_is_there(stem, paths)
    of_images = [finding for written in made for finding in written.findings]
    said = list(dict.fromkeys((*opened.findings, *seen, *of_images)))
    _report(opened, said, paths, as_json=options.json)
    return 0


def _load_kernels() -> None:
    """Load the compiled kernels while the file is read; it takes half a second."""
    from ultrahand import kernels

    kernels.add_squares(np.ones((1, 1), np.complex64), np.zeros(1, np.float32))


def _retire_earlier(outputs: OutputSet, stem: Path, suffix: str, names: list[str]) -> None:
    """Let no old part or standard error of these images stand beside the new ones."""
    for name in names:
        for part in ("", "_part-phase", "_part-real", "_part-imag"):
            for ending in (f"{part}_stderr{suffix}", f"{part}{suffix}", f"{part}.json"):
                outputs.retire(stem.with_name(name + ending))


def _say_what_else_is_there(stem: Path, written: list[Path]) -> None:
    """Warn of images of the same name, of another layout or suffix: they may be old, or not ours.

    Only a warning, whatever happens: the new images are in their place.
    """
    entity = r"(_(enc|slab|echo|phase|set|rep)-\d+)*(_part-(phase|real|imag))?(_stderr)?"
    of_ours = re.compile(re.escape(stem.name) + entity + r"\.nii(\.gz)?")
    names = {path.name for path in written}
    others: list[str] = []
    with suppress(OSError):  # a folder that may be written but not listed
        found = [path.name for path in stem.parent.iterdir()]
        others = sorted(name for name in found if of_ours.fullmatch(name) and name not in names)
    if others:
        opening.log.warning(
            "warning: %d images of an earlier run or another maker stand beside the new ones: %s",
            len(others),
            ", ".join(others[:4]),
        )


def split_suffix(path: Path) -> tuple[Path, str]:
    """Split ``image.nii.gz`` into ``image`` and ``.nii.gz``."""
    for suffix in SUFFIXES:
        if path.name.endswith(suffix) and len(path.name) > len(suffix):
            return path.with_name(path.name[: -len(suffix)]), suffix
    raise UsageError(f"-o {path.name}: the name of an image ends in .nii.gz or .nii")


def _write_images(
    opened: Opened,
    series: Series,
    stem: Path,
    suffix: str,
    outputs: OutputSet,
    workspace: Workspace,
    pool: ThreadPoolExecutor,
) -> _Written:
    """Reconstruct one series volume by volume and write each part as it comes."""
    from ultrahand.pipelines import reconstruct_volume
    from ultrahand.pipelines.timing import frame_times

    times, findings = frame_times(opened.raw, series)
    name = stem.name + _entities(series)
    writers: dict[str, NiftiWriter] = {}
    with ExitStack() as stack:
        for volume in series.volumes:
            made = reconstruct_volume(opened.raw, opened.plan, series, volume, workspace)
            images = _by_ending(made)
            arrays = list(_arrays(images))
            for ending, _, image in arrays:
                if ending not in writers:
                    place = outputs.claim(stem.with_name(name + ending + suffix))
                    writer = NiftiWriter(
                        place,
                        compress=suffix.endswith(".gz"),
                        geometry=image.geometry,
                        n_frames=len(series.volumes),
                        frame_step_s=_step(times) if series.frame_axis in ("rep", "phase") else 0.0,
                    )
                    writers[ending] = stack.enter_context(writer)
            jobs = [pool.submit(writers[ending].append, values) for ending, values, _ in arrays]
            for job in jobs:
                job.result()
    sidecars = {ending: outputs.claim(stem.with_name(f"{name}{ending}.json")) for ending in images}
    return _Written(series, images, made.steps, times, sidecars, tuple(findings))


def _write_sidecars(
    opened: Opened,
    written: _Written,
    findings: tuple[Finding, ...],
    digests: Mapping[str, Future[str]],
    options: argparse.Namespace,
) -> None:
    from ultrahand.pipelines.sidecar import sidecar_fields

    provenance = Provenance(
        inputs={role: digest.result() for role, digest in digests.items()},
        options=_resolved(opened, written.series),
        steps=written.steps,
        findings=findings,
        versions=_versions(),
        threads=opened.plan.options.workers,
        seed=None,
        command=shlex.join(["ultrahand", *options.command_line]),
    )
    for ending, image in written.images.items():
        fields = sidecar_fields(
            opened.raw.header, opened.plan, written.series, image, written.times, provenance
        )
        write_sidecar(written.sidecars[ending], fields)


def _by_ending(made: VolumeImages) -> dict[str, Image]:
    """Return the parts by the ending of their file's name; the magnitude has none."""
    return {"" if part == "mag" else f"_part-{part}": image for part, image in made.parts.items()}


def _arrays(images: Mapping[str, Image]) -> Iterator[tuple[str, Float32, Image]]:
    for ending, image in images.items():
        yield ending, np.asarray(image.values, np.float32), image
        if image.standard_error is not None:
            yield f"{ending}_stderr", image.standard_error, image


def _entities(series: Series) -> str:
    order = ("enc", "slab", "echo", "phase", "set", "rep")
    return "".join(f"_{key}-{series.entities[key]}" for key in order if key in series.entities)


def _step(times: FrameTimes | None) -> float:
    if times is None or len(times.start_s) < 2:
        return 0.0
    return (times.start_s[-1] - times.start_s[0]) / (len(times.start_s) - 1)


def _resolved(opened: Opened, series: Series) -> dict[str, object]:
    """Return every option as it was resolved for one image: nothing stands as ``auto``."""
    chosen = opened.plan.options
    encoding = opened.plan.encodings[series.volumes[0].encoding]
    grid = encoding.non_cartesian
    if encoding.whitener is None:
        noise = "none"
    else:
        noise = "file" if "noise" in opened.inputs else "noise readouts of the file"
    return {
        **opened.raw.reading,
        "method": str(encoding.method),
        "combine": str(opened.plan.combine),
        "partial_fourier": str(chosen.partial_fourier),
        "parts": str(chosen.parts),
        "noise": noise,
        "nucleus": opened.plan.nucleus,
        "trajectory": ("file" if "trajectory" in opened.inputs else "in the raw data")
        if grid
        else None,
        "trajectory_unit": str(grid.unit) if grid else None,
        "trajectory_offset": chosen.trajectory_offset,
        "trajectory_axes": chosen.trajectory_axes,
        "max_memory_bytes": chosen.memory_limit,
        "readouts": dict(opened.plan.counts),
    }


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    names = ("numpy", "scipy", "numba", "h5py", "finufft", "nibabel")
    return {"ultrahand": __version__, "python": sys.version.split()[0]} | {
        name: version(name) for name in names
    }


@contextmanager
def _bar(opened: Opened, *, show: bool) -> Iterator[Callable[[int], None]]:
    """Show progress over readouts, on a terminal only."""
    from tqdm import tqdm

    total = sum(len(volume.rows) for s in opened.plan.series for volume in s.volumes)
    quiet = not (show and sys.stderr.isatty())
    with tqdm(total=total, unit="readout", disable=quiet, leave=False) as bar:
        yield bar.update


def _report(opened: Opened, findings: list[Finding], written: list[Path], *, as_json: bool) -> None:
    if not as_json:
        for path in written:
            print(path)
        return
    found = {
        "files": [str(path) for path in written],
        "methods": {str(i): str(p.method) for i, p in opened.plan.encodings.items()},
        "nucleus": opened.plan.nucleus,
        "readouts": dict(opened.plan.counts),
        "findings": [finding.as_dict() for finding in findings],
    }
    print(json.dumps(found, indent=2))
