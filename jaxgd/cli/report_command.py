"""`jaxgd report`: the page of a saved sweep."""

import argparse
from pathlib import Path

from jaxgd.cli.inputs import bad_input, check_extras, check_writable


def add(commands) -> None:
    """Add the command's parser."""
    report = commands.add_parser(
        "report",
        help="write the page of a sweep that `jaxgd sweep` saved",
        description="Write one HTML page with the views of a saved sweep. It needs no network.",
    )
    report.add_argument("folder", metavar="DIR", help="where the sweep was saved")
    report.add_argument("--out", metavar="FILE", help="where to write the page [DIR/report.html]")
    report.add_argument("--metric", help="what decides [the spec's, else valid_accuracy or valid_loss]")
    report.add_argument("--mode", choices=("min", "max"), help="whether less or more of the metric is better")
    report.set_defaults(run=_report)


def _report(arguments: argparse.Namespace, command: str) -> None:
    folder = Path(arguments.folder)
    out = Path(arguments.out) if arguments.out else folder / "report.html"
    check_extras("plotly")
    if arguments.out or folder.is_dir():
        check_writable(out)

    from jaxgd.reports.sweep_page import check_decides, page
    from jaxgd.sweeps import load

    with bad_input():
        result = load(folder)
        check_decides(result, arguments.metric, arguments.mode)
    out.write_text(page(result, arguments.metric, arguments.mode), encoding="utf-8")
    print(f"Report: {out.resolve()}")
