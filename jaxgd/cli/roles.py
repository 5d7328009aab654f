"""What a command is to train on: the data, and what the columns of a table are for."""

import argparse
from collections.abc import Callable
from typing import Any

from jaxgd.cli.inputs import InputError
from jaxgd.tables.roles import Roles, names_in


def add_roles(option: Callable) -> None:
    """Add the options that name data and the roles of columns; `option` is a parser's `add_argument`."""
    option(
        "--data",
        metavar="DATA",
        help="a data set (see `jaxgd list`), a table (.csv, .tsv, .txt, .csv.gz), arrays.npz or "
        "my.py:problem [digits]",
    )
    option("--target", metavar="COLUMN", help="the column of a table to predict")
    option(
        "--task",
        choices=("classification", "regression"),
        help="for a table or .npz; chosen from the target if left out",
    )
    option("--drop", type=names_in, default=(), metavar="A,B", help="columns of a table to leave out")
    option("--group", metavar="COLUMN", help="rows with one value of this column stay in one split")
    option("--split", metavar="COLUMN", help="the column that says train, valid or test of each row")


def named_data(arguments: argparse.Namespace) -> str:
    """The data, which are named at most once, alone or after `--data`; "digits" if not at all.

    Raises:
        InputError: they are named twice.
    """
    given = [name for name in (arguments.source, arguments.data) if name is not None]
    if len(given) > 1:
        raise InputError(f"data is given twice, as {given[0]!r} and as --data {given[1]!r}")
    return given[0] if given else "digits"


def roles_of(arguments: argparse.Namespace) -> dict[str, Any]:
    """What was said of the columns, by role."""
    return {role: getattr(arguments, role) for role in Roles._fields}
