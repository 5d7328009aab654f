"""`jaxgd landscape`: the landscape of a saved sweep, or of a test surface, as one HTML page."""

import argparse
import sys
from difflib import get_close_matches
from pathlib import Path

from jaxgd.arguments import whole_number
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
    is_folder,
)
from jaxgd.cli.outputs import write_page
from jaxgd.machine.interrupts import Interrupted, signal_of
from jaxgd.specs.choices import check_batch_sizes, check_optimizers
from jaxgd.specs.presets import ALL_OPTIMIZERS, SURFACES

_SURFACE_OPTIONS = ("optimizers", "updates", "batch_sizes", "noise")


def add(commands) -> None:
    """Add the command's parser."""
    landscape = commands.add_parser(
        "landscape",
        help="draw the loss around the minima of a saved sweep, or a test surface",
        description="For a saved sweep: measure the curvature at the end of every run, and draw the loss on "
        "planes around the best of them with their training paths. For a test surface: find its critical "
        "points, and draw the paths and the basins of attraction of every optimizer at its own best rate.",
    )
    option = landscape.add_argument
    surfaces = ", ".join(SURFACES)
    option("source", metavar="DIR|SURFACE", help=f"a folder that `jaxgd sweep` wrote, or one of: {surfaces}")
    option("--optimizers", type=as_words, metavar="A,B", help="of a surface: names, or all [all]")
    option("--updates", type=as_number, help="of a surface: updates of a path [200]")
    option("--batch-sizes", type=as_numbers, metavar="A,B", help="of a surface: sizes or full [full,16,1]")
    option("--noise", type=as_number, help="of a surface: of one example's gradient [a typical gradient]")
    option(
        "--problem",
        metavar="my.py:problem",
        help="of a sweep whose data are code: that code, which a folder does not choose",
    )
    option("--data", metavar="FILE", help="of a sweep of a file that lies elsewhere now: that file")
    option("--out", default="landscape.html", metavar="FILE", help="where to write the page [landscape.html]")
    option("--no-cache", action="store_true", help="do not keep compiled programs for the next time")
    landscape.set_defaults(run=_landscape)


def _landscape(arguments: argparse.Namespace, command: str) -> None:
    source, out = Path(arguments.source), as_path(arguments.out, "file")
    given = [name for name in _SURFACE_OPTIONS if getattr(arguments, name) is not None]
    is_sweep = is_folder("source", arguments.source)
    if is_sweep and given:
        raise InputError(f"{given[0]} belongs to a surface, but {arguments.source!r} is a folder")
    choices = {} if is_sweep else _surface_choices(arguments)
    check_writable(out)
    check_extras("plotly", "jinja2")
    jax_start.start_jax(cache=not arguments.no_cache)
    try:
        if is_sweep:
            _write_sweep_page(source, arguments, out, command)
        else:
            _write_surface_page(choices, out, command)
    except KeyboardInterrupt as stop:
        if isinstance(stop, Interrupted):
            raise
        text = "interrupted before there was anything to draw: there is no page"
        raise Interrupted(None, signal_of(stop), text) from None
    print(f"Page: {out.resolve()}")


def _surface_choices(arguments: argparse.Namespace) -> dict:
    """The arguments of `study_surface`, checked as far as they can be without jax."""
    name, names, sizes = arguments.source, arguments.optimizers, arguments.batch_sizes
    if name not in SURFACES:
        raise InputError(_no_such_source(name))
    for option in ("problem", "data"):
        if getattr(arguments, option) is not None:
            raise InputError(f"{option} belongs to a saved sweep, but {name!r} is a surface")
    with bad_input():
        choices = {
            "name": name,
            "optimizers": ALL_OPTIMIZERS if names is None else check_optimizers(names),
            "updates": whole_number("updates", 200 if arguments.updates is None else arguments.updates),
            "batch_sizes": check_batch_sizes(("full", 16, 1) if sizes is None else sizes),
            "noise": arguments.noise,
        }
    if arguments.noise is not None and not (isinstance(arguments.noise, int | float) and arguments.noise > 0):
        raise InputError(f"noise is {arguments.noise!r}; a number above 0 is needed")
    return choices


def _no_such_source(name: str) -> str:
    if near := get_close_matches(name, SURFACES, 1, cutoff=0.7):
        return f"there is no folder and no surface {name!r}; did you mean {near[0]!r}?"
    surfaces = ", ".join(SURFACES)
    return f"there is no folder {name!r}; `jaxgd sweep SPEC --out DIR` makes one; surfaces are {surfaces}"


def _write_surface_page(choices: dict, out: Path, command: str) -> None:
    """The page of a test surface."""
    from jaxgd.landscape.surfaces.survey import study_surface
    from jaxgd.reports.pages.of_surface import surface_page

    with bad_input():
        study = study_surface(**choices, command=command, progress=True)
    print(study.sentence)
    write_page(out, surface_page(study))


def _write_sweep_page(folder: Path, arguments: argparse.Namespace, out: Path, command: str) -> None:
    """The page of a saved sweep, its data and models built again from the spec that was saved with it."""
    from functools import partial

    from jaxgd.landscape.networks.close_up import look
    from jaxgd.reports.pages.of_landscape import landscape_page
    from jaxgd.specs.runs import runs_of
    from jaxgd.sweeps import load

    with bad_input():
        result = load(folder)
        runs = runs_of(result, arguments.problem, arguments.data)
    data, about = str(runs.spec.document["data"]), {"Command": command}
    try:
        with errors_in(runs.file):
            trainer_of = partial(runs.trainer_of, result)
            landscape = look(result, trainer_of, runs.metric, lambda text: print(text, file=sys.stderr))
    except Interrupted as stop:
        write_page(out, landscape_page(stop.result, data, about, is_whole=False))
        text = f"interrupted: the page, {out}, has what was measured until then"
        raise Interrupted(stop.result, stop.signal, text) from None
    write_page(out, landscape_page(landscape, data, about))
