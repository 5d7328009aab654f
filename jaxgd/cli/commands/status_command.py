"""`jaxgd status`: how far the sweep of a folder is."""

import argparse

from jaxgd.cli.inputs import bad_input
from jaxgd.cli.outputs import OutputError


def add(commands) -> None:
    """Add the command's parser."""
    status = commands.add_parser(
        "status",
        help="say how far the sweep of a folder is, and whether its files are whole",
        description="Say how many runs of a sweep have ended, how many are left, and about how long they "
        "take. It trains nothing, and may be asked while another process trains.",
    )
    status.add_argument("folder", metavar="DIR", help="where `jaxgd sweep` keeps the sweep")
    status.add_argument("--check", action="store_true", help="compare every file with its checksum")
    status.set_defaults(run=_status)


def _status(arguments: argparse.Namespace, command: str) -> None:
    from jaxgd.sweeps.folders.status import folder_status

    with bad_input():
        found = folder_status(arguments.folder, arguments.check)
    print(found)
    if found.damaged:
        raise OutputError(
            f"{len(found.damaged)} damaged files in {arguments.folder}: the `jaxgd sweep` that made it "
            "trains their runs again"
        )
