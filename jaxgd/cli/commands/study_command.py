"""`jaxgd study`: what batch size does to a problem, or in trials that were run elsewhere."""

import argparse
import shlex
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
    check_folder,
    check_writable,
    errors_in,
    is_folder,
    read_runs,
)
from jaxgd.cli.outputs import print_and_write, save_beside
from jaxgd.cli.roles import add_roles, named_data, roles_of
from jaxgd.machine.interrupts import Interrupted
from jaxgd.specs.choices import check_study
from jaxgd.specs.presets import STUDY

_CHOICES = ("optimizers", "batch_sizes", "learning_rates", "epochs", "tuning_seeds", "seeds", "first_seed")
_CHOICES += ("margin",)


def add(commands) -> None:
    """Add the command's parser."""
    study = commands.add_parser(
        "study",
        help="find how far the batch size can be raised before it stops paying",
        description="Train at every batch size, learning rate and seed, count updates and examples to a "
        "goal, and write a page: which batch size, which rate, which optimizer, and how sure that is.",
    )
    option = study.add_argument
    option(
        "source",
        nargs="?",
        metavar="DATA",
        help="the same as --data DATA; or a spec.toml to run, a folder that `jaxgd sweep` saved",
    )
    add_roles(option)
    option("--trials", metavar="FILE", help="trials of any tool, a row for each evaluation, in place of data")
    option(
        "--goal",
        metavar="METRIC=VALUE",
        help="what updates are counted to: valid_loss=0.3, valid_accuracy=0.95 "
        "[what the middle batch size reaches at two thirds of its epochs]",
    )
    option("--optimizers", type=as_words, metavar="A,B", help=f"names, or all [{','.join(STUDY.optimizers)}]")
    option("--batch-sizes", type=as_numbers, metavar="A,B", help="sizes or full [nine powers of 2]")
    option(
        "--learning-rates",
        type=as_numbers,
        metavar="A,B",
        help="one grid for all optimizers [nine rates of each one's own]",
    )
    option("--epochs", type=as_number, help=f"passes over the training data [{STUDY.epochs}]")
    option("--tuning-seeds", type=as_number, help=f"runs per cell and rate that choose rates [{STUDY.seeds}]")
    option("--seeds", type=as_number, help=f"runs per cell and rate that report [{STUDY.fresh_seeds}]")
    option("--first-seed", type=as_number, help="the first seed of all; others repeat the study [0]")
    option("--margin", type=as_number, help="a difference that does not count, in units of the metric")
    option("--no-noise", action="store_true", help="do not measure the gradient noise scale")
    option(
        "--keep", metavar="DIR", help="keep the runs in a folder as they end; the same command goes on there"
    )
    option("--out", default="study.html", metavar="FILE", help="where to write the page [study.html]")
    option("--no-cache", action="store_true", help="do not keep compiled programs for the next time")
    study.set_defaults(run=_study)


def _study(arguments: argparse.Namespace, command: str) -> None:
    out, goal = as_path(arguments.out, "file"), _goal(arguments.goal)
    with bad_input():
        choices = check_study(**{name: getattr(arguments, name) for name in _CHOICES})
    source = _source(arguments)
    check_writable(out)
    keep = None if arguments.keep is None else as_path(arguments.keep, "folder")
    if keep is not None:
        check_folder(keep)
    check_extras("rich", "plotly", "jinja2")
    jax_start.start_jax(cache=not arguments.no_cache)
    try:
        found = _found(arguments, source, choices, goal, keep, command)
    except Interrupted as stop:
        raise Interrupted(stop.result, stop.signal, _kept(stop, out, keep, command)) from None

    from jaxgd.reports.pages import of_study, study_terminal

    print_and_write(study_terminal.render(found), out, lambda: of_study.page(found))


def _source(arguments: argparse.Namespace) -> str:
    """What is studied: data, a spec, a folder; or a file of trials alone."""
    if arguments.trials is None:
        return named_data(arguments)
    if arguments.source is not None or arguments.data is not None:
        raise InputError("a study is of data or of --trials, not both")
    return arguments.trials


def _goal(text: str | None) -> dict[str, float] | None:
    """The goal of "metric=value"."""
    if text is None:
        return None
    name, sign, value = text.partition("=")
    if not (sign and name.strip() and isinstance(as_number(value), int | float)):
        raise InputError(f"goal must be METRIC=VALUE, such as valid_loss=0.3, got {text!r}")
    return {name.strip(): float(value)}


def _found(arguments: argparse.Namespace, source: str, choices, goal, keep: Path | None, command: str):
    """The study of whatever was named."""
    if arguments.trials is not None:
        return _of_trials(source, Path(source).name, goal, command)
    if is_folder("data", source):
        from jaxgd.sweeps import load

        with bad_input():
            result = load(source)
        return _of_trials(result, source, goal, command)
    if Path(source).suffix == ".toml":
        runs = read_runs(source)
        with errors_in(runs.file):
            result = runs.run(folder=keep, clock=True)
        return _of_trials(result, source, goal, command)
    return _of_data(arguments, source, choices, goal, keep, command)


def _of_data(arguments: argparse.Namespace, source: str, choices, goal, keep: Path | None, command: str):
    from jaxgd.specs.sources import load_source
    from jaxgd.studies.batch_size.asking import plan_study, run_study

    with bad_input():
        found = load_source(source, **roles_of(arguments))
        plan = plan_study(found, choices, goal)
    if found.table is not None:
        print(f"{found.table.block()}\n", flush=True)
    with errors_in(found.file):
        return run_study(plan, noise=not arguments.no_noise, folder=keep, command=command)


def _of_trials(data, name: str, goal, command: str):
    from jaxgd.studies.batch_size.of_trials import study_of

    with bad_input():
        return study_of(data, goal, name=name, facts={"Data": name, "Command": command})


def _kept(stop: Interrupted, out: Path, keep: Path | None, command: str) -> str:
    """Where the runs are that had ended, and how to go on."""
    if keep is not None:
        return f"{stop}; to go on, type the same again: {command}"
    if stop.result is None or not stop.result.num_ended:
        return "interrupted before a run ended: there is nothing to save"
    folder = save_beside(out, "runs", stop.result)
    runs = f"{stop.result.num_ended} of {stop.result.dataset.status.size} runs are saved"
    return f"interrupted: {runs}, to study them: {shlex.join(['jaxgd', 'study', str(folder)])}"
