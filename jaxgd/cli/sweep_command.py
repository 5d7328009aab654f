"""`jaxgd sweep`: the sweep that a TOML file describes, saved in a folder."""

import argparse
import math

from jaxgd.cli import jax_start
from jaxgd.cli.inputs import as_path, bad_input, check_folder, errors_in
from jaxgd.cli.outputs import writing


def add(commands) -> None:
    """Add the command's parser."""
    sweep = commands.add_parser(
        "sweep",
        help="train at every point of a grid that a TOML file describes",
        description="Train at every point of the sweep that a TOML file describes, and save the result.",
    )
    option = sweep.add_argument
    option("spec", metavar="SPEC", help="the TOML file")
    option("--out", required=True, metavar="DIR", help="where to save the result; an earlier one is replaced")
    option("--explain", action="store_true", help="print the plan, and why it was chosen, before the runs")
    option("--exact", action="store_true", help="give every run the bits of the run alone, on a CPU")
    option("--no-cache", action="store_true", help="do not keep compiled programs for the next time")
    sweep.set_defaults(run=_sweep)


def _sweep(arguments: argparse.Namespace, command: str) -> None:
    out = as_path(arguments.out, "folder")
    check_folder(out)
    jax_start.start_jax(cache=not arguments.no_cache)

    from jaxgd.specs.runs import SpecRuns
    from jaxgd.specs.spec import read_spec

    with bad_input():
        runs = SpecRuns(read_spec(arguments.spec))
        with errors_in(runs.file):
            runs.check()
    if runs.table is not None:
        print(runs.table)
    with errors_in(runs.file):
        result = runs.run(explain=arguments.explain, exact=arguments.exact)
    try:
        with writing(out):
            result.save(out)
    finally:  # what was found is told in any case
        if runs.warning:
            print(f"! {runs.warning}")
        print(result)
        print(_best_line(result, runs.metric))
    print(f"Saved: {out.resolve()}")


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
