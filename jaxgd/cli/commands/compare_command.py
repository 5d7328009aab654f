"""`jaxgd compare`: the optimizer, batch size and learning rate for a problem."""

import argparse
import shlex
from pathlib import Path

from jaxgd.cli import jax_start
from jaxgd.cli.inputs import (
    as_number,
    as_numbers,
    as_path,
    as_words,
    bad_input,
    check_extras,
    check_writable,
    errors_in,
)
from jaxgd.cli.outputs import print_and_write, save_beside
from jaxgd.cli.roles import add_roles, named_data, roles_of
from jaxgd.machine.interrupts import Interrupted
from jaxgd.specs.choices import check_choices
from jaxgd.specs.presets import DEFAULT, QUICK

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
    add_roles(option)
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
        source = load_source(named_data(arguments), **roles_of(arguments))
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
    folder = save_beside(out, name, result)
    runs = f"{result.num_ended} of {result.dataset.status.size} runs of the {_STAGES[name]} are saved"
    return f"{runs}, to look at them: {shlex.join(['jaxgd', 'report', str(folder)])}"


def _report(comparison, out: Path) -> None:
    from jaxgd.reports.pages import of_comparison, terminal

    print_and_write(terminal.render(comparison), out, lambda: of_comparison.page(comparison))
