"""The command line.

Nothing heavy is imported until the arguments are known to be good, so `--help` and mistakes answer at once.
"""

import contextlib
import os
import shlex
import sys
from collections.abc import Sequence

from jaxgd.cli import streams
from jaxgd.cli.inputs import InputError
from jaxgd.cli.outputs import OutputError
from jaxgd.cli.parsers import BAD_INPUT, parser_of_commands
from jaxgd.machine.interrupts import Interrupted, ignore_signals, raised_sigterm, signal_of

# A shell gives the last three to a process that Ctrl-C, a closed pipe or SIGTERM has ended.
OK, FAILED, INTERRUPTED, CLOSED_PIPE, TERMINATED = 0, 1, 130, 141, 143


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code: 0, 1 for a result that cannot be written, 2 for bad input, 130 for Ctrl-C, 143 for
    SIGTERM.

    Errors are one line on stderr.
    """
    argv = sys.argv[1:] if argv is None else list(argv)
    parser = parser_of_commands()
    if not argv:
        parser.print_help()
        return OK
    arguments = parser.parse_args(argv)
    try:
        with raised_sigterm():
            arguments.run(arguments, shlex.join(["jaxgd", *argv]))
    except (InputError, OutputError) as error:
        print(f"jaxgd {arguments.name}: error: {' '.join(str(error).split())}", file=sys.stderr)
        return BAD_INPUT if isinstance(error, InputError) else FAILED
    except KeyboardInterrupt as error:
        # What a command has raised says what was kept.
        text = str(error) if isinstance(error, Interrupted) else "interrupted"
        print(f"jaxgd {arguments.name}: {text}", file=sys.stderr)
        return 128 + signal_of(error)
    return OK


def command() -> None:
    """The process of the command: `main`, and the end. A reader who has left hears nothing more."""
    streams.replace_missing_signs()
    streams.show_warnings_plainly()
    try:
        code = _main_or_exit()
        ignore_signals()
        streams.flush()
    except BrokenPipeError:
        code = CLOSED_PIPE
    except OSError as error:
        code = FAILED
        with contextlib.suppress(OSError):
            print(f"jaxgd: error: {' '.join(str(error).split())}", file=sys.stderr)
    streams.discard()
    if code in (INTERRUPTED, TERMINATED):
        os._exit(code)  # a thread in the middle of compiling a program would hold up any other way out
    sys.exit(code)


def _main_or_exit() -> int | str | None:
    """The exit code of `main`; of the parser too, which ends the process after `--help`."""
    try:
        return main()
    except SystemExit as error:
        return error.code
