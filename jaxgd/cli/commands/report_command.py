"""`jaxgd report`: the page of a saved sweep."""

import argparse
from pathlib import Path

from jaxgd.cli.inputs import as_path, bad_input, check_extras, check_writable, is_folder
from jaxgd.cli.outputs import write_page


def add(commands) -> None:
    """Add the command's parser."""
    report = commands.add_parser(
        "report",
        help="write the page of a sweep that `jaxgd sweep` saved",
        description="Write one HTML page with the figures of a saved sweep. It needs no network.",
    )
    report.add_argument("folder", metavar="DIR", help="where the sweep was saved")
    report.add_argument("--out", metavar="FILE", help="where to write the page [DIR/report.html]")
    report.add_argument("--metric", help="what decides [the spec's, else valid_accuracy or valid_loss]")
    report.add_argument("--mode", choices=("min", "max"), help="whether less or more of the metric is better")
    report.set_defaults(run=_report)


def _report(arguments: argparse.Namespace, command: str) -> None:
    folder = Path(arguments.folder)
    out = folder / "report.html" if arguments.out is None else as_path(arguments.out, "file")
    check_extras("plotly", "jinja2")
    if is_folder("folder", arguments.folder) or arguments.out is not None:
        check_writable(out)

    from jaxgd.reports.pages.of_sweep import check_decides, page
    from jaxgd.sweeps import load

    with bad_input():
        result = load(folder)
        check_decides(result, arguments.metric, arguments.mode)
    write_page(out, page(result, arguments.metric, arguments.mode))
    print(f"Report: {out.resolve()}")
