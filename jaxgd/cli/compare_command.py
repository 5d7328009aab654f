"""`jaxgd compare`: the optimizer, batch size and learning rate for a problem."""

import argparse
import itertools
import os
import shlex
import sys
from pathlib import Path

from jaxgd.cli import jax_start
from jaxgd.cli.inputs import (
    InputError,
    as_number,
    as_numbers,
    as_path,
    as_words,
    bad_input,
    check_extras,
    check_writable,
    errors_in,
)
from jaxgd.cli.outputs import write_page, writing
from jaxgd.machine.interrupts import Interrupted
from jaxgd.specs.choices import check_choices
from jaxgd.specs.presets import DEFAULT, QUICK
from jaxgd.tables.roles import Roles, names_in

_CHOICES = ("optimizers", "batch_sizes", "learning_rates", "epochs", "seeds", "fresh_seeds", "first_seed")
_CHOICES += ("max_seeds", "max_seconds", "margin")
# What the stages of a comparison that are saved by themselves are called.
_STAGES = {"grid": "grid", "fresh": "best rates on fresh seeds"}


def add(commands) -> None:
    """Add the command's parser."""
    compare = commands.add_parser(
        "compare",
        help="find the optimizer, batch size and learning rate for a problem",
        description="Train every optimizer at every batch size, learning rate and seed; choose each best "
        "rate on validation data, rerun it on fresh seeds, score it on test data, and write a report.",
    )
    option = compare.add_argument
    option("source", nargs="?", metavar="DATA", help="the same as --data DATA")
    option(
        "--data",
        help="a data set (see `jaxgd list`), a table (.csv, .tsv, .txt, .csv.gz), arrays.npz or "
        "my.py:problem [digits]",
    )
    option("--target", metavar="COLUMN", help="the column of a table to predict")
    option(
        "--task",
        choices=("classification", "regression"),
        help="for a table or .npz; chosen from the target if left out",
    )
    option("--drop", type=names_in, default=(), metavar="A,B", help="columns of a table to leave out")
    option("--group", metavar="COLUMN", help="rows with one value of this column stay in one split")
    option("--split", metavar="COLUMN", help="the column that says train, valid or test of each row")
    option(
        "--optimizers", type=as_words, metavar="A,B", help=f"names, or all [{','.join(DEFAULT.optimizers)}]"
    )
    option(
        "--batch-sizes",
        type=as_numbers,
        metavar="A,B",
        help=f"sizes or full [{','.join(map(str, DEFAULT.batch_sizes))}]",
    )
    option(
        "--learning-rates",
        type=as_numbers,
        metavar="A,B",
        help="one grid for all optimizers [a grid of each one's own]",
    )
    option("--epochs", type=as_number, help=f"passes over the training data [{DEFAULT.epochs}]")
    option("--seeds", type=as_number, help=f"runs per learning rate [{DEFAULT.seeds}]")
    option("--fresh-seeds", type=as_number, help=f"fresh runs of each best rate [{DEFAULT.fresh_seeds}]")
    option("--first-seed", type=as_number, help="the first seed of all; others repeat the comparison [0]")
    option(
        "--max-seeds",
        type=as_number,
        help=f"the most fresh seeds, in further rounds for what is undecided [{DEFAULT.max_seeds}]",
    )
    option(
        "--max-seconds",
        type=as_number,
        help=f"that further rounds may take [{DEFAULT.max_seconds:g}]",
    )
    option(
        "--margin",
        type=as_number,
        help="a difference that does not count: 0.01 is a point of accuracy "
        "[0.5 points or a test row; 2 %% of a loss]",
    )
    option("--quick", action="store_true", help="fewer optimizers, batch sizes, epochs and seeds; one round")
    option("--out", default="report.html", metavar="FILE", help="where to write the page [report.html]")
    option("--no-cache", action="store_true", help="do not keep compiled programs for the next time")
    compare.set_defaults(run=_compare)


def _compare(arguments: argparse.Namespace, command: str) -> None:
    with bad_input():
        given = {name: getattr(arguments, name) for name in _CHOICES}
        choices = check_choices(**given, preset=QUICK if arguments.quick else DEFAULT)
    out = as_path(arguments.out, "file")
    check_writable(out)
    check_extras("rich", "plotly", "jinja2")
    jax_start.start_jax(cache=not arguments.no_cache)

    from jaxgd.specs.sources import load_source
    from jaxgd.studies.comparison.comparing import plan_comparison, run_comparison

    with bad_input():
        source = load_source(_data(arguments), **{role: getattr(arguments, role) for role in Roles._fields})
        experiment = plan_comparison(source, choices)
    if source.table is not None:
        print(f"{source.table.block()}\n", flush=True)
    try:
        with errors_in(source.file):
            comparison = run_comparison(experiment, command=command)
    except Interrupted as stop:
        raise Interrupted(stop.result, stop.signal, _kept(stop, out)) from None
    _report(comparison, out)


def _kept(stop: Interrupted, out: Path) -> str:
    """Write what was finished of an interrupted comparison; says what."""
    from jaxgd.sweeps import SweepResult

    if not isinstance(stop.result, SweepResult):
        _report(stop.result, out)
        return f"interrupted: the page, {out}, is of what was complete, and says what is left out"
    stages = {"grid": stop.result}
    if stop.earlier:
        stages = {"fresh": stop.result, **stop.earlier}
    saved = [_saved(result, out, name) for name, result in stages.items() if result.num_ended]
    if not saved:
        return "interrupted before a run ended: there is nothing to save"
    return f"interrupted before there was anything to compare: {'; '.join(saved)}"


def _saved(result, out: Path, name: str) -> str:
    """Save a stage in a new folder beside the page; says where."""
    names = itertools.chain([name], (f"{name}-{number}" for number in itertools.count(2)))
    folders = (out.with_name(f"{out.stem}-{each}") for each in names)
    folder = next(folder for folder in folders if not os.path.lexists(folder))
    with writing(folder):
        result.save(folder)
    runs = f"{result.num_ended} of {result.dataset.status.size} runs of the {_STAGES[name]} are saved"
    return f"{runs}, to look at them: {shlex.join(['jaxgd', 'report', str(folder)])}"


def _data(arguments: argparse.Namespace) -> str:
    given = [name for name in (arguments.source, arguments.data) if name is not None]
    if len(given) > 1:
        raise InputError(f"data is given twice, as {given[0]!r} and as --data {given[1]!r}")
    return given[0] if given else "digits"


def _report(comparison, out: Path) -> None:
    from rich.console import Console

    from jaxgd.reports.pages import of_comparison, terminal

    # A pipe or a file gets whole lines: only a terminal has a width.
    console = Console(width=None if sys.stdout.isatty() else 1000, highlight=False)
    with console.capture() as text:  # rich would end the process by itself where a pipe is closed
        console.print(terminal.render(comparison))
    try:
        print(text.get())
    finally:  # neither is lost with the other
        write_page(out, of_comparison.page(comparison))
    print(f"Report: {out.resolve()}")
