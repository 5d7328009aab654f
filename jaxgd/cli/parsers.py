"""The parser of the command line, made of what each module of `commands` adds to it."""

import argparse
import pkgutil
import re
from importlib import import_module

from jaxgd.arguments import unknown
from jaxgd.cli import commands
from jaxgd.cli.about import print_about

BAD_INPUT = 2
_SUFFIX = "_command"
# What argparse says of a word that is the name of no command.
_NO_COMMAND = re.compile(r"argument [^:]* \| .*: invalid choice: '([^']*)'")


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, without the usage, and whose last words may stand anywhere."""

    @property
    def arguments(self) -> list[argparse.Action]:
        """What it takes."""
        return self._actions

    @property
    def parsers(self) -> list["Parser"]:
        """Itself, or those of its commands."""
        commands = [argument.choices for argument in self.arguments if isinstance(argument.choices, dict)]
        return [*commands[0].values()] if commands else [self]

    def error(self, message):
        """End the process with one line."""
        if (found := _NO_COMMAND.match(message)) and len(self.parsers) > 1:
            names = [parser.prog.split()[-1] for parser in self.parsers]
            message = unknown("command", found[1], names)
        self.exit(BAD_INPUT, f"{self.prog}: error: {message}\n")

    def parse_known_args(self, args=None, namespace=None):
        """What was given and what is not known; words such as `epochs=5` after an option are known too.

        Before Python 3.13, argparse takes words of a `nargs="*"` together with SPEC or not at all.
        """
        found, others = super().parse_known_args(args, namespace)
        if any(argument.dest == "overrides" for argument in self.arguments):
            later = [word for word in others if "=" in word and not word.startswith("-")]
            found.overrides = [*found.overrides, *later]
            others = [word for word in others if word not in later]
            if others and not others[0].startswith("-"):
                self.error(f"{others[0]!r} is no KEY=VALUE, which is one word, such as epochs=5")
        return found, others


class _About(argparse.Action):
    """The option that prints what is installed, and ends the process."""

    def __call__(self, parser, namespace, values, option_string=None):
        print_about()
        parser.exit()


def parser_of_commands() -> Parser:
    """The parser of all commands."""
    parser = Parser(
        prog="jaxgd", description="Gradient-descent experiments: optimizers and batch sizes compared."
    )
    parser.add_argument(
        "--version",
        action=_About,
        nargs=0,
        help="show what is installed, and which devices JAX has, and exit",
    )
    modules = [name for _, name, _ in pkgutil.iter_modules(commands.__path__) if name.endswith(_SUFFIX)]
    names = " | ".join(name.removesuffix(_SUFFIX) for name in modules)
    subparsers = parser.add_subparsers(dest="name", required=True, metavar=names)
    for name in modules:
        import_module(f"jaxgd.cli.commands.{name}").add(subparsers)
    return parser
