"""Where the command writes: an encoding that lacks a sign, a pipe that was closed, a disk that is full."""

import codecs
import contextlib
import io
import os
import sys
import warnings

_PLAIN = {"≈": "~", "±": "+-", "–": "-", "×": "x", "…": "...", "²": "^2"}
_ERRORS = "jaxgd.plain"


def replace_missing_signs() -> None:
    """Have standard output write a plain sign for each that its encoding lacks, instead of failing."""
    codecs.register_error(_ERRORS, _plain)
    # Where a person has chosen another way, as the C locale does, it stays.
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors=_ERRORS)


def _plain(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    signs = error.object[error.start : error.end]
    return "".join(_PLAIN.get(sign, "?") for sign in signs), error.end


def show_warnings_plainly() -> None:
    """Have a warning that is meant for the user be one line, without the place in the source."""
    usual = warnings.showwarning

    def show(message, category, filename, lineno, file=None, line=None):
        if issubclass(category, UserWarning) and file is None:
            print(f"jaxgd: warning: {' '.join(str(message).split())}", file=sys.stderr)
        else:
            usual(message, category, filename, lineno, file, line)

    warnings.showwarning = show


def flush() -> None:
    """Write what is still held back.

    Raises:
        OSError: it cannot be written.
    """
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()


def discard() -> None:
    """Throw away what cannot be written: the interpreter would try again at its end, and complain."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
            continue
        with contextlib.suppress(OSError, ValueError, AttributeError):
            os.dup2(nowhere, stream.fileno())
