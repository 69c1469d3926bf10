"""``ultrahand recon``: raw data to images."""

from __future__ import annotations

import argparse
import json
import shlex
from contextlib import suppress
from pathlib import Path

from ultrahand.cli import opening
from ultrahand.cli.arguments import input_files
from ultrahand.cli.naming import PARTS, Naming, entities_of, split_suffix
from ultrahand.cli.opening import Opened
from ultrahand.cli.reconstruct import Made, reconstruct
from ultrahand.cli.supervise import finish_undisturbed
from ultrahand.io.outputs import OutputSet


def run(options: argparse.Namespace) -> int:
    """Reconstruct a file; print the files written, one a line."""
    naming = Naming(*split_suffix(Path(options.output)))
    log = [Path(options.log)] if options.log else []
    with OutputSet(force=options.force, inputs=[Path(options.raw), *log]) as early:
        # Refuse what cannot be written before hours of work.
        for path in (naming.image(), naming.image(error=True), naming.sidecar()):
            early.claim(path)
    kept = [*input_files(options).values(), *log]
    with OutputSet(force=options.force, inputs=kept) as outputs:
        made = reconstruct(
            options,
            naming,
            outputs,
            command=shlex.join(["ultrahand", *options.command_line]),
            check=lambda opened: _check_places(opened, naming, outputs),
        )
        finish_undisturbed()
        paths = outputs.commit()
    _say_what_else_is_there(naming, paths)
    _report(made, paths, as_json=options.json)
    return 0


def _check_places(opened: Opened, naming: Naming, outputs: OutputSet) -> None:
    """Refuse names that are taken; let no old part or error of these images stay beside them."""
    names = [entities_of(series.entities) for series in opened.plan.series]
    for entities in names:
        outputs.check(naming.image(entities))
        outputs.check(naming.sidecar(entities))
    for entities in names:
        for part in PARTS:
            outputs.retire(naming.image(entities, part, error=True))
            outputs.retire(naming.image(entities, part))
            outputs.retire(naming.sidecar(entities, part))


def _say_what_else_is_there(naming: Naming, written: list[Path]) -> None:
    """Warn of images of the same name, of another layout or suffix: they may be old, or not ours.

    Only a warning, whatever happens: the new images are in their place.
    """
    names = {path.name for path in written}
    others: list[str] = []
    with suppress(OSError):  # a folder that may be written but not listed
        found = {path.name for path in naming.stem.parent.iterdir()} - names
        others = sorted(name for name in found if naming.may_be(name, sidecars=False))
    if others:
        opening.log.warning(
            "warning: %d images of an earlier run or another maker stand beside the new ones: %s",
            len(others),
            ", ".join(others[:4]),
        )


def _report(made: Made, written: list[Path], *, as_json: bool) -> None:
    if not as_json:
        for path in written:
            print(path)
        return
    plan = made.opened.plan
    found = {
        "files": [str(path) for path in written],
        "methods": {str(i): str(p.method) for i, p in plan.encodings.items()},
        "nucleus": plan.nucleus,
        "readouts": dict(plan.counts),
        "findings": [finding.as_dict() for finding in made.findings],
    }
    print(json.dumps(found, indent=2))
