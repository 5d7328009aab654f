"""`jaxgd completion`: a script by which a shell completes commands, options, names and files."""

import argparse

from jaxgd.cli.inputs import InputError
from jaxgd.cli.parsers import parser_of_commands
from jaxgd.specs.presets import LEARNING_RATES

SHELLS = ("bash", "zsh", "fish")
_FOLDERS, _FILES = ("DIR", "DIR|SURFACE"), ("FILE", "SPEC", "DATA")


def add(commands) -> None:
    """Add the command's parser."""
    completion = commands.add_parser(
        "completion",
        help="print the script by which a shell completes commands, options, names and files",
        description='Print a completion script. bash: eval "$(jaxgd completion bash)" in ~/.bashrc; zsh: as '
        "the file _jaxgd in a folder of $fpath; fish: as ~/.config/fish/completions/jaxgd.fish.",
    )
    completion.add_argument("shell", choices=SHELLS)
    completion.set_defaults(run=_completion)


def _completion(arguments: argparse.Namespace, command: str) -> None:
    try:
        import shtab
    except ImportError:
        raise InputError('the package shtab is missing: pip install "jaxgd[completion]"') from None
    parser = parser_of_commands()
    for each in parser.parsers:
        for argument in each.arguments:
            if argument.metavar in (*_FOLDERS, *_FILES):
                argument.complete = shtab.DIRECTORY if argument.metavar in _FOLDERS else shtab.FILE  # pyright: ignore
            elif argument.dest == "optimizers":
                argument.choices = [*LEARNING_RATES, "all"]
    print(shtab.complete(parser, arguments.shell))
