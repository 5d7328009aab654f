"""`jaxgd landscape`: the landscape of a saved sweep as one HTML page."""

import argparse
import sys
from pathlib import Path

from jaxgd.cli import jax_start
from jaxgd.cli.inputs import InputError, bad_input, check_extras, check_writable, errors_in


def add(commands) -> None:
    """Add the command's parser."""
    landscape = commands.add_parser(
        "landscape",
        help="draw the loss around the minima of a saved sweep",
        description="Measure the curvature at the end of every run of a saved sweep, draw the loss on planes "
        "around the best of them with their training paths, and write a page.",
    )
    option = landscape.add_argument
    option("folder", metavar="DIR", help="a folder that `jaxgd sweep` wrote")
    option("--out", default="landscape.html", metavar="FILE", help="where to write the page [landscape.html]")
    option("--no-cache", action="store_true", help="do not keep compiled programs for the next time")
    landscape.set_defaults(run=_landscape)


def _landscape(arguments: argparse.Namespace, command: str) -> None:
    folder, out = Path(arguments.folder), Path(arguments.out)
    if not folder.is_dir():
        raise InputError(f"there is no folder {str(folder)!r}; `jaxgd sweep SPEC --out DIR` makes one")
    check_writable(out)
    check_extras("plotly")
    jax_start.start_jax(cache=not arguments.no_cache)
    _write_sweep_page(folder, out, command)
    print(f"Page: {out.resolve()}")


def _write_sweep_page(folder: Path, out: Path, command: str) -> None:
    """The page of a saved sweep, its data and models built again from the spec that was saved with it."""
    from functools import partial

    from jaxgd.reports.landscape_page import landscape_page
    from jaxgd.studies.spec_runs import runs_of
    from jaxgd.studies.sweep_landscape import look
    from jaxgd.sweeps import load

    with bad_input():
        result = load(folder)
        runs = runs_of(result)
    with errors_in(runs.file):
        trainer_of = partial(runs.trainer_of, result)
        landscape = look(result, trainer_of, runs.metric, lambda text: print(text, file=sys.stderr))
    page = landscape_page(landscape, str(result.spec["data"]), {"Command": command})
    out.write_text(page, encoding="utf-8")
