"""``ultrahand simulate``: the digital 7 T hand, its raw files and what is true of it."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ultrahand import __version__
from ultrahand.cli.opening import log
from ultrahand.cli.simulate_folder import SUMMARY, asked, begin, files_of, put
from ultrahand.cli.simulate_plan import check_room, file_bytes, plan_of, total_bytes
from ultrahand.cli.simulate_truth import truth_bytes, write_truth
from ultrahand.cli.supervise import finish_undisturbed
from ultrahand.errors import InputError
from ultrahand.io.write_ismrmrd import write_hdf5
from ultrahand.phantoms.digital_hand.assumptions import ASSUMPTIONS
from ultrahand.phantoms.digital_hand.dynamic_series import frame_time_s
from ultrahand.phantoms.digital_hand.fields import make_fields
from ultrahand.phantoms.digital_hand.lesion_truth import lesion_rows
from ultrahand.phantoms.digital_hand.protocol import PROTOCOLS, Dynamic
from ultrahand.phantoms.digital_hand.script_hands import check_hands
from ultrahand.phantoms.digital_hand.series import raw_of
from ultrahand.phantoms.digital_hand.setting import Setting
from ultrahand.phantoms.digital_hand.subject import make_subject
from ultrahand.physics.tissues import table_version
from ultrahand.pipelines.options import machine_threads


def run(options: argparse.Namespace) -> int:
    """Make the examination in a hidden folder; give it its name when it is complete."""
    folder = asked(options.folder, force=options.force)
    script = _script(options.script)
    made = begin(folder)
    try:
        _make(options, script, made)
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise
    finish_undisturbed()
    put(made, folder, force=options.force)
    exam = Path(options.folder) / "exam.toml"
    print(
        json.dumps({"folder": options.folder, "exam": str(exam)}, indent=2)
        if options.json
        else exam
    )
    return 0


def _make(options: argparse.Namespace, script: str | None, made: Path) -> None:
    """Make the examination's files in a folder."""
    try:
        subject = make_subject(options.seed, options.preset, options.hand, script)
        if script is not None:
            _check_hands(script, options.hand)
        lesion_rows(subject)  # what is wrong in them is found before half an hour of measuring
    except InputError as error:
        error.file = Path(options.script or options.preset).name
        raise
    protocol = PROTOCOLS[options.size]
    threads = min(options.threads, machine_threads()) if options.threads else machine_threads()
    setting = Setting(
        subject=subject,
        fields=make_fields(subject, np.random.default_rng([options.seed, 3])),
        protocol=protocol,
        seed=options.seed,
        threads=threads,
    )
    planned = plan_of(setting)
    check_room(total_bytes(planned) + truth_bytes(protocol, planned), made)
    _measure(setting, made, show=not options.quiet)
    write_truth(setting, planned, made)
    (made / "exam.toml").write_text(_exam(options, setting, script), encoding="utf-8")
    summary = _summary(options, script, [*files_of(made), SUMMARY])
    (made / SUMMARY).write_text(summary, encoding="utf-8")


def _check_hands(script: str, hand: str) -> None:
    """Refuse a script without a word on the hands that are made; warn of what is left out."""
    left_out = check_hands(script, ("left", "right") if hand == "both" else (hand,), "script")
    if left_out:
        log.warning(
            "warning: %d entries of the script are for the other hand and are left out: %s",
            len(left_out),
            ", ".join(left_out[:5]) + (" ..." if len(left_out) > 5 else ""),
        )


def _script(name: str | None) -> str | None:
    if name is None:
        return None
    try:
        return Path(name).read_text(encoding="utf-8-sig")  # editors of Windows begin with a mark
    except (OSError, UnicodeDecodeError) as error:
        refused = InputError(
            "script",
            found=getattr(error, "strerror", None) or "bytes that are no text",
            expected="a TOML file of lesions",
            remedy="see docs/simulate.md",
        )
        refused.file = Path(name).name
        raise refused from None


def _measure(setting: Setting, folder: Path, *, show: bool) -> None:
    from tqdm import tqdm

    for number, series in enumerate(setting.protocol.series):
        with tqdm(
            desc=series.name, unit="readout", disable=None if show else True, file=sys.stderr
        ) as bar:
            raw = raw_of(setting, series, number, bar.update)
            bar.total = len(raw.readouts)
            check_room(file_bytes(raw.readouts), folder)
            write_hdf5(raw, folder / f"{series.name}.h5")


def _exam(options: argparse.Namespace, setting: Setting, script: str | None) -> str:
    """Return the examination file."""
    protocol = setting.protocol
    label = options.preset.replace("_", "") + ("script" if script else "")
    lines = [
        "[exam]",
        f'subject = "{label}{options.seed}"',
        'session = "1"',
        f'hand = "{options.hand}"',
        'landmarks = "landmarks.tsv"',
        'vials = "vials.tsv"',
        f'protocol = "digital hand, {protocol.size}"',
    ]
    for series in protocol.series:
        lines += ["", "[[series]]", f'name = "{series.name}"', f'file = "{series.name}.h5"']
        lines.append(f'kind = "{series.kind}"')
        if isinstance(series, Dynamic):
            lines.append(f'options = {{ "frame-time" = {frame_time_s(setting, series)} }}')
    return "\n".join(lines) + "\n"


def _summary(options: argparse.Namespace, script: str | None, files: list[str]) -> str:
    found: Mapping[str, object] = {
        "size": options.size,
        "preset": options.preset,
        "hand": options.hand,
        "seed": options.seed,
        "script": script,
        "tissue_table": table_version(),
        "ultrahand": __version__,
        "frame": "scanner RAS, millimetres",
        "working_assumptions": ASSUMPTIONS,
        "files": sorted(files),
    }
    return json.dumps(found, indent=2) + "\n"
