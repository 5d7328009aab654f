"""The command line: `jaxgd compare` and `jaxgd list`.

Nothing heavy is imported until the arguments are known to be good, so `--help` and mistakes answer at once.
"""

import argparse
import os
import shlex
import stat
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from jaxgd import __version__
from jaxgd.studies.arguments import (
    check_batch_sizes,
    check_count,
    check_learning_rates,
    check_optimizers,
    fitting_batch_sizes,
)
from jaxgd.studies.presets import DEFAULT, LEARNING_RATES, QUICK
from jaxgd.studies.user_files import UserFileError, describe_error

OK, BAD_INPUT, INTERRUPTED = 0, 2, 130


class InputError(Exception):
    """Something the user gave cannot be used; its text is one line that says what and why."""


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code: 0, 2 for bad input, 130 for Ctrl-C; errors are one line on stderr."""
    argv = sys.argv[1:] if argv is None else list(argv)
    arguments = _parser().parse_args(argv)
    try:
        arguments.run(arguments, shlex.join(["jaxgd", *argv]))
    except InputError as error:
        print(f"jaxgd {arguments.name}: error: {' '.join(str(error).split())}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        print("jaxgd: interrupted", file=sys.stderr)
        return INTERRUPTED
    return OK


def command() -> None:
    """The process of the command: `main`, and the end."""
    code = main()
    if code == INTERRUPTED:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)  # a thread in the middle of compiling a program would hold up any other way out
    sys.exit(code)


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, without the usage."""

    def error(self, message):
        self.exit(BAD_INPUT, f"{self.prog}: error: {message}\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="jaxgd", description="Gradient-descent experiments: optimizers and batch sizes compared."
    )
    parser.add_argument("--version", action="version", version=f"jaxgd {__version__}")
    commands = parser.add_subparsers(dest="name", required=True, metavar="compare | list")
    _add_compare(commands)
    listing = commands.add_parser("list", help="name the optimizers, data sets and models")
    listing.set_defaults(run=_list)
    return parser


def _add_compare(commands):
    compare = commands.add_parser(
        "compare",
        help="find the optimizer, batch size and learning rate for a problem",
        description="Train every optimizer at every batch size, learning rate and seed; choose each best "
        "rate on validation data, rerun it on fresh seeds, score it on test data, and write a report.",
    )
    add = compare.add_argument
    add("source", nargs="?", metavar="DATA", help="the same as --data DATA")
    add(
        "--data",
        help="a data set (see `jaxgd list`), numbers.csv, arrays.npz or my.py:problem [digits]",
    )
    add("--target", help="the column of a .csv to predict")
    add(
        "--task",
        choices=("classification", "regression"),
        help="for a .csv or .npz; chosen from the target if left out",
    )
    add("--optimizers", type=_words, metavar="A,B", help=f"names, or all [{','.join(DEFAULT.optimizers)}]")
    add(
        "--batch-sizes",
        type=_numbers,
        metavar="A,B",
        help=f"sizes or full [{','.join(map(str, DEFAULT.batch_sizes))}]",
    )
    add(
        "--learning-rates",
        type=_numbers,
        metavar="A,B",
        help="one grid for all optimizers [a grid of each one's own]",
    )
    add("--epochs", type=_number, help=f"passes over the training data [{DEFAULT.epochs}]")
    add("--seeds", type=_number, help=f"runs per learning rate [{DEFAULT.seeds}]")
    add("--quick", action="store_true", help="fewer optimizers, batch sizes, epochs and seeds")
    add("--out", default="report.html", metavar="FILE", help="where to write the page [report.html]")
    add("--no-cache", action="store_true", help="do not keep compiled programs for the next time")
    compare.set_defaults(run=_compare)


def _words(text: str) -> list[str] | str:
    return text if text == "all" else [word.strip() for word in text.split(",") if word.strip()]


def _number(text: str) -> int | float | str:
    """The number, or the text itself where it is none: the argument's own check then says what is allowed."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text.strip()


def _numbers(text: str) -> list[int | float | str]:
    return [_number(word) for word in text.split(",") if word.strip()]


def _compare(arguments: argparse.Namespace, command: str) -> None:
    with _bad_input():
        choices = _choices(arguments)
    out = Path(arguments.out)
    check_writable(out)
    _check_extras("rich", "plotly")
    start_jax(cache=not arguments.no_cache)

    from jaxgd.studies.comparison import plan_comparison, run_comparison
    from jaxgd.studies.sources import load_source

    with _bad_input():
        source = load_source(_data(arguments), arguments.target, arguments.task)
        experiment = plan_comparison(source, **_fitting(choices, arguments, source))
    try:
        comparison = run_comparison(experiment, command=command)
    except Exception as error:
        place = source.file and describe_error(error, source.file)
        if not place:
            raise
        raise InputError(place) from error
    _report(comparison, out)


def _data(arguments: argparse.Namespace) -> str:
    given = [name for name in (arguments.source, arguments.data) if name is not None]
    if len(given) > 1:
        raise InputError(f"data is given twice, as {given[0]!r} and as --data {given[1]!r}")
    return given[0] if given else "digits"


def _choices(arguments: argparse.Namespace) -> dict:
    """The arguments of `plan_comparison`, checked as far as they can be before the data are read."""
    sizes = QUICK if arguments.quick else DEFAULT
    optimizers = sizes.optimizers if arguments.optimizers is None else check_optimizers(arguments.optimizers)
    return {
        "optimizers": optimizers,
        "batch_sizes": check_batch_sizes(
            sizes.batch_sizes if arguments.batch_sizes is None else arguments.batch_sizes
        ),
        "learning_rates": check_learning_rates(arguments.learning_rates, optimizers),
        "epochs": check_count("epochs", sizes.epochs if arguments.epochs is None else arguments.epochs),
        "seeds": check_count("seeds", sizes.seeds if arguments.seeds is None else arguments.seeds),
        "fresh_seeds": sizes.fresh_seeds,
    }


def _fitting(choices: dict, arguments: argparse.Namespace, source) -> dict:
    """The choices, without those preset batch sizes that the data are too small for."""
    if arguments.batch_sizes is not None:
        return choices
    sizes = fitting_batch_sizes(choices["batch_sizes"], source.problem.num_examples)
    return {**choices, "batch_sizes": sizes}


@contextmanager
def _bad_input():
    """Turn complaints about what the user gave into an `InputError`."""
    try:
        yield
    except (ValueError, TypeError, ImportError, OSError, UserFileError) as error:
        raise InputError(str(error)) from error


def _report(comparison, out: Path) -> None:
    from rich.console import Console

    from jaxgd.reports import html, terminal

    html.write(comparison, out)
    # A pipe or a file gets whole lines: only a terminal has a width.
    console = Console(width=None if sys.stdout.isatty() else 1000, highlight=False)
    console.print(terminal.render(comparison))
    console.print(f"\nReport: {out.resolve()}")


def check_writable(out: Path) -> None:
    """Raise `InputError` unless a file can be written there: a long training's report must not be lost."""
    if out.is_dir():
        raise InputError(f"out is {str(out)!r}, a folder; the name of a file is needed")
    if not out.parent.is_dir():
        raise InputError(f"out is {str(out)!r}, but there is no folder {str(out.parent)!r}")
    try:
        with tempfile.NamedTemporaryFile(dir=out.parent):
            pass
        if out.exists():
            out.open("ab").close()
    except OSError as error:
        raise InputError(f"out is {str(out)!r}, which cannot be written: {error.strerror}") from None


def _check_extras(*packages: str) -> None:
    for package in packages:
        if find_spec(package) is None:
            raise InputError(f'the package {package} is missing: pip install "jaxgd[report]"')


def start_jax(cache: bool) -> None:
    """Set up jax before its first computation: one host device per core, and a cache of compiled programs.

    Runs are spread over host devices, and most of a short comparison is compiling. What the user has set in
    the environment stays.
    """
    import jax

    chosen = "JAX_NUM_CPU_DEVICES" in os.environ
    if not chosen and "xla_force_host_platform_device_count" not in os.environ.get("XLA_FLAGS", ""):
        jax.config.update("jax_num_cpu_devices", num_cores())
    if cache and "JAX_COMPILATION_CACHE_DIR" not in os.environ and (folder := cache_folder()):
        jax.config.update("jax_compilation_cache_dir", str(folder))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)


def num_cores() -> int:
    """The cores that this process may use: of the machine, of its affinity mask, of its container's quota."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
    except (OSError, ValueError):
        return cores
    return cores if quota == "max" else max(1, min(cores, int(quota) // int(period)))


def cache_folder() -> Path | None:
    """The user's private folder for compiled programs, made if missing; None if it is not private (said).

    Compiled programs are run as they are: whoever can write to this folder can run code as the user.
    """
    base = os.environ.get("XDG_CACHE_HOME", "")
    folder = (Path(base) if os.path.isabs(base) else Path.home() / ".cache") / "jaxgd" / "xla"
    try:
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        if problem := _not_private(folder):
            raise PermissionError(problem)
    except OSError as error:
        print(f"jaxgd: compiled programs are not kept: {folder}: {error.strerror or error}", file=sys.stderr)
        return None
    return folder


def _not_private(folder: Path) -> str:
    """Why others could write to the folder, or an empty text."""
    if not hasattr(os, "getuid"):
        return ""
    for place in (folder, folder.parent):
        found = place.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
            return f"{place} is not a folder of yours"
        if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            return f"others can write to {place}"
    return ""


def _list(arguments: argparse.Namespace, command: str) -> None:
    from jaxgd.optim import optimizers
    from jaxgd.training import networks
    from jaxgd.training.datasets import DATASETS

    print("optimizers (and the learning rates that compare tries)")
    for name, rates in LEARNING_RATES.items():
        print(f"  {name:<14} {_first_line(getattr(optimizers, name))}")
        print(f"  {'':<14} {', '.join(f'{rate:g}' for rate in rates)}")
    print("\ndata sets")
    for name, entry in DATASETS.items():
        print(f"  {name:<14} {entry.task}: {entry.summary}")
    print("\nmodels")
    for name in ("mlp", "linear"):
        print(f"  {name:<14} {_first_line(getattr(networks, name))}")


def _first_line(function: Callable) -> str:
    return (function.__doc__ or "").strip().splitlines()[0].replace("`", "")
