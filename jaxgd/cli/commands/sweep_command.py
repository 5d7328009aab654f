"""`jaxgd sweep`: the sweep that a TOML file describes, saved in a folder."""

import argparse
import math
import os
import shlex
from contextlib import contextmanager
from pathlib import Path

from jaxgd.cli import jax_start
from jaxgd.cli.inputs import InputError, add_spec, as_path, bad_input, check_folder, errors_in, read_runs
from jaxgd.cli.outputs import OutputError
from jaxgd.cli.parts import executor_at, part_of
from jaxgd.machine.interrupts import Interrupted


def add(commands) -> None:
    """Add the command's parser."""
    sweep = commands.add_parser(
        "sweep",
        help="train at every point of a grid that a TOML file describes",
        description="Train at every point of the sweep that a TOML file describes, and keep it in a folder.",
    )
    add_spec(sweep)
    option = sweep.add_argument
    option(
        "--out",
        required=True,
        metavar="DIR",
        help="where the sweep is kept as it goes; the same command again trains what the folder lacks",
    )
    option("--replace", action="store_true", help="begin anew, whatever the folder has")
    option("--log", metavar="FILE", help="append a line of JSON for each run to this file, as the run ends")
    option("--explain", action="store_true", help="print the plan, and why it was chosen, before the runs")
    option("--exact", action="store_true", help="give every run the bits of the run alone, on a CPU")
    option(
        "--part",
        metavar="K/N",
        help="train the K-th of N parts into the one folder, as a scheduler's array job does: no part waits "
        "for another; `slurm` takes K and N from the environment",
    )
    option(
        "--executor",
        metavar="dask://HOST:PORT",
        help="have the workers of a Dask cluster train, all of which see the folder",
    )
    option("--no-cache", action="store_true", help="do not keep compiled programs for the next time")
    sweep.set_defaults(run=_sweep)


def _sweep(arguments: argparse.Namespace, command: str) -> None:
    out = as_path(arguments.out, "folder")
    check_folder(out)
    log = [] if arguments.log is None else [arguments.log]
    _check_log(log)
    part = None if arguments.part is None else part_of(arguments.part, os.environ)
    if part is not None and arguments.executor is not None:
        raise InputError("a sweep takes --part or --executor, not both")
    if arguments.replace and (part is not None or arguments.executor is not None):
        raise InputError(f"--replace would take away what others write to {out}: delete that folder yourself")
    jax_start.start_jax(cache=not arguments.no_cache)

    from jaxgd.sweeps.folders.in_folder import NotKeptError

    runs = read_runs(arguments.spec, arguments.overrides)
    options = {name: getattr(arguments, name) for name in ("explain", "exact", "replace")}
    is_alone = part is None and arguments.executor is None
    lost = None
    try:
        with executor_at(arguments.executor) as executor, errors_in(runs.file), _errors_of_folder(out):
            result = runs.run(folder=out, log=log, clock=is_alone, part=part, executor=executor, **options)
    except NotKeptError as error:
        result, lost = error.result, error
    except Interrupted as stop:
        again = shlex.join(word for word in shlex.split(command) if word != "--replace")
        text = f"{stop}; to go on, type the same again: {again}"
        raise Interrupted(stop.result, stop.signal, text) from None
    if runs.warning:
        print(f"! {runs.warning}")
    print(result)
    if part is not None and result.num_ended < result.dataset["status"].size:
        print(
            f"Part {part[0]} of {part[1]} is done; `jaxgd status {shlex.quote(str(out))}` knows the others."
        )
    else:
        print(_best_line(result, runs.metric))
    if lost is not None:
        raise OutputError(str(lost))
    print(f"Saved: {out.resolve()}")


def _check_log(log: list[str]) -> None:
    from jaxgd.logs.delivery import Delivery

    with bad_input():
        Delivery(log)


@contextmanager
def _errors_of_folder(out: Path):
    """Turn what the folder forbids into an `InputError`, a failure to write it into an `OutputError`."""
    from jaxgd.sweeps.folders.in_folder import NotKeptError
    from jaxgd.sweeps.folders.opening import ContradictionError
    from jaxgd.sweeps.store.files import UnreadableError
    from jaxgd.sweeps.store.lock import FolderInUseError

    try:
        yield
    except (ContradictionError, FolderInUseError, UnreadableError, FileExistsError) as error:
        raise InputError(str(error)) from error
    except NotKeptError:
        raise
    except OSError as error:
        if error.filename is None or not str(error.filename).startswith(str(out)):
            raise
        raise OutputError(f"{error.filename} cannot be written: {error.strerror or error}") from error


def _best_line(result, metric: str) -> str:
    """The best point, or why there is none."""
    try:
        best = result.best(metric)
    except ValueError as error:
        return f"No best point: {error}"
    values = {
        name: f"{value:.6g}" if isinstance(value, float) else value for name, value in best.coords.items()
    }
    point = ", ".join(f"{name} {value}" for name, value in values.items())
    spread = "" if math.isnan(best.spread) else f" ± {best.spread:.2g} (standard deviation over seeds)"
    when = "in the epoch that was kept" if "kept_epoch" in result.dataset else "at the last epoch"
    word, where = ("Best", f", at {point}") if point else ("Mean", "")
    return f"{word} {metric} {when}: {best.value:.4g}{spread}{where}"
