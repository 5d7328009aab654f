"""The names of a reference page, and the help of a command, written out when a page is read.

A page lists names of a module in the order of their use; a value that has no docstring has its words there:

    ```{names} jaxgd.landscape
    surface Surface
    SURFACES: the names of all surfaces.
    ```

Each is shown as people write it, `jaxgd.adam` for `jaxgd.optim.adam`, after a table of all of them. A block
`{help} sweep` is what `jaxgd sweep --help` prints.
"""

import contextlib
import importlib
import inspect
import io
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import jaxgd

_NAMES = re.compile(r"^```\{names\} (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_HELP = re.compile(r"^```\{help\} *(\S*)\n```$", re.MULTILINE)


class Entry(NamedTuple):
    """A name of a reference page.

    module: the one that it is listed under. words: what it is, of a value that has no docstring.
    """

    module: str
    name: str
    words: str = ""

    @property
    def value(self) -> Any:
        """What has the name."""
        return getattr(importlib.import_module(self.module), self.name)

    @property
    def shown(self) -> str:
        """The name as people write it: from the top of the package where it is there too."""
        if self.name in jaxgd.__all__ and getattr(jaxgd, self.name) is self.value:
            return f"jaxgd.{self.name}"
        tops = (top for top, home in jaxgd._MODULES.items() if home == self.module)
        return f"jaxgd.{next(tops)}.{self.name}" if self.module in jaxgd._MODULES.values() else self.full

    @property
    def full(self) -> str:
        """The name behind the module that it is listed under."""
        return f"{self.module}.{self.name}"

    @property
    def first_line(self) -> str:
        """What the name is, in a line."""
        return self.words or inspect.cleandoc(self.value.__doc__ or "").partition("\n")[0]


def entries(text: str) -> list[Entry]:
    """The names that the text of a page lists, in its order."""
    return [entry for module, names in _NAMES.findall(text) for entry in _listed(module, names)]


def _listed(module: str, names: str) -> Iterator[Entry]:
    for line in names.splitlines():
        name, colon, words = line.partition(": ")
        yield from [Entry(module, name, words)] if colon else [Entry(module, name) for name in line.split()]


def _as_directives(found: re.Match) -> str:
    """The block of names as Sphinx's own directives."""
    listed = list(_listed(found[1], found[2]))
    lines = _table(listed) if len(listed) > 1 else []
    for entry in listed:
        lines += [*_directive(entry), ""]
    return "\n".join(["```{eval-rst}", *lines, "```"])


def _table(listed: list[Entry]) -> list[str]:
    rows = [f"   * - :py:obj:`{entry.shown}`\n     - {entry.first_line}" for entry in listed]
    return [".. list-table::", "   :class: names", "   :widths: auto", "", *rows, ""]


def _directive(entry: Entry) -> list[str]:
    if entry.words:
        return [f".. py:data:: {entry.shown}", "", f"   {entry.words}"]
    if not inspect.isclass(entry.value):
        return [f".. autofunction:: {entry.shown}"]
    kind = "exception" if issubclass(entry.value, BaseException) else "class"
    return [f".. auto{kind}:: {entry.shown}", "   :members:"]


def _as_text(found: re.Match) -> str:
    """The block of help as text."""
    return f"```text\n{help_of(found[1])}```"


def help_of(command: str) -> str:
    """What `jaxgd COMMAND --help` prints in a window of 100 columns."""
    from jaxgd import cli

    printed = io.StringIO()
    with (
        mock.patch.dict(os.environ, {"COLUMNS": "100", "NO_COLOR": "1"}),
        contextlib.redirect_stdout(printed),
        contextlib.suppress(SystemExit),
    ):
        cli.main([*command.split(), "--help"])
    return printed.getvalue()


def expand(app, docname: str, source: list[str]) -> None:
    """Write the blocks of a page out."""
    source[0] = _HELP.sub(_as_text, _NAMES.sub(_as_directives, source[0]))


def pages() -> list[Path]:
    """The pages of the reference, in their order."""
    folder = Path(__file__).parents[1]
    order = re.findall(r"<(reference/\w+)>$", (folder / "api.md").read_text(), re.MULTILINE)
    return [folder / f"{name}.md" for name in order]


def setup(app):
    """Write out what reference pages list."""
    app.connect("source-read", expand)
    return {"parallel_read_safe": True}
