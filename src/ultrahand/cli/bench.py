"""``ultrahand bench``: speed, accuracy and memory on this machine, beside the peers."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from ultrahand.bench.catalogue import PROBLEMS, choose, choose_peers
from ultrahand.bench.contest import run_problem
from ultrahand.bench.machine import available_threads, describe_machine
from ultrahand.bench.picture import write_picture
from ultrahand.bench.result import Result, joined
from ultrahand.bench.table import markdown_table, text_table
from ultrahand.io.outputs import OutputSet

FILES = ("bench.json", "bench.md", "bench.png")


def run(options: argparse.Namespace) -> int:
    """Run the problems in turn and print one table, or JSON; a goal that is missed is a result."""
    names, peers = choose(options.names), choose_peers(options.peer)
    threads = options.threads or available_threads()
    folder = Path(options.output) if options.output else None
    outputs = OutputSet(force=options.force, inputs=[])
    if folder is not None:
        for name in FILES:
            outputs.check(folder / name)
    for number in (signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)):
        signal.signal(number, _interrupt)
    machine = describe_machine(threads)
    say = _say(options)
    result = joined(
        [
            run_problem(
                PROBLEMS[name], name, size=options.size, threads=threads, peers=peers, say=say
            )
            for name in names
        ]
    )
    if folder is not None:
        _write(result, machine, folder, outputs)
    if options.json:
        print(json.dumps({"machine": machine, **result.as_dict()}, indent=2))
    else:
        print(text_table(result, machine), end="")
    return 0


def _write(result: Result, machine: str, folder: Path, outputs: OutputSet) -> None:
    with outputs:
        figures, page, picture = (outputs.claim(folder / name) for name in FILES)
        content = json.dumps({"machine": machine, **result.as_dict()}, indent=2)
        figures.write_text(content + "\n", encoding="utf-8")
        page.write_text(markdown_table(result, machine), encoding="utf-8")
        write_picture(result, picture)
        outputs.commit()


def _say(options: argparse.Namespace) -> Callable[[str], None]:
    """Tell on a terminal what goes on: a whole run takes many minutes."""
    if options.quiet or not (options.verbose or sys.stderr.isatty()):
        return lambda _: None
    return lambda words: print(f"ultrahand: {words}", file=sys.stderr)


def _interrupt(*_: object) -> NoReturn:
    """Leave as after Ctrl-C: contestants are ended and their data removed on the way out."""
    raise KeyboardInterrupt
