"""`jaxgd calibrate`: the constants of this machine that sweeps are planned with."""

import argparse
import sys

from jaxgd.cli import jax_start
from jaxgd.cli.outputs import OutputError


def add(commands) -> None:
    """Add the command's parser."""
    calibrate = commands.add_parser(
        "calibrate",
        help="measure what this machine takes, for the plans of sweeps",
        description="Compile and time a few small programs, which takes some seconds on a machine that does "
        "nothing else, and keep what was found beside the compiled programs. Sweeps are planned with it from "
        "then on. A sweep that is kept in a folder goes on as it was planned.",
    )
    calibrate.set_defaults(run=_calibrate)


def _calibrate(arguments: argparse.Namespace, command: str) -> None:
    jax_start.start_jax(cache=False)

    from jaxgd.sweeps.calibration import PROBES, calibrate

    print(f"compiling and timing {len(PROBES)} programs", file=sys.stderr)
    try:
        found = calibrate(progress=_tell)
    except OSError as error:
        raise OutputError(f"the constants cannot be kept: {error}") from error
    print(found)


def _tell(done: int, total: int, text: str) -> None:
    print(f"{done} of {total} timed", file=sys.stderr)
