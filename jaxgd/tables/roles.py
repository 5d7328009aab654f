"""What columns of a table are for: the target, those left out, the one that splits or keeps rows together."""

import csv
import io
import shlex
import unicodedata
from collections.abc import Iterable
from difflib import get_close_matches
from typing import NamedTuple


class Roles(NamedTuple):
    """What the user says about the columns of a table; names, or None.

    target: what to predict. task: "classification" or "regression", None to choose by the target. drop:
    columns that are left out. group: rows with one value in it stay in one split. split: a column with the
    words train, valid and test.
    """

    target: str | None = None
    task: str | None = None
    drop: tuple[str, ...] = ()
    group: str | None = None
    split: str | None = None

    def named(self) -> dict[str, str]:
        """The columns with a role of their own, by role."""
        given = {"target": self.target, "group": self.group, "split": self.split}
        return {role: name for role, name in given.items() if name is not None}

    def keep_text(self, name: str) -> bool:
        """Whether the exact text of the column of this name matters."""
        return any(is_same_name(name, given) for given in self.named().values())


def check_task(task: str | None) -> None:
    """Raise ValueError unless it is a task, or None."""
    if task not in (None, "classification", "regression"):
        raise ValueError(f'task is {task!r}; allowed: "classification", "regression", or None to choose')


def check_roles(
    target=None, task: str | None = None, drop: str | Iterable[str] | None = (), group=None, split=None
) -> Roles:
    """The roles, checked as far as they can be before the table is read.

    Raises:
        ValueError: the task is unknown, a column has two roles, group and split are both given.
    """
    check_task(task)
    names = (drop,) if isinstance(drop, str) else tuple(dict.fromkeys(map(str, drop or ())))
    roles = Roles(
        *(None if target is None else str(target), task, names),
        *(None if name is None else str(name) for name in (group, split)),
    )
    if roles.group is not None and roles.split is not None:
        raise ValueError(
            f"group is {roles.group!r} and split is {roles.split!r}; one of them decides where rows go"
        )
    _check_once(roles)
    return roles


def _check_once(roles: Roles) -> None:
    """Raise ValueError if a column has two roles."""
    places = [*roles.named().items(), *(("drop", name) for name in roles.drop)]
    seen: dict[str, str] = {}
    for role, name in places:
        other = seen.setdefault(unicodedata.normalize("NFC", name), role)
        if other != role:
            raise ValueError(f"{other} is {name!r}, which {role} names too; a column has one role")


def find_roles(roles: Roles, names: list[str], data: str) -> Roles:
    """The roles with the names as the table spells them.

    Raises:
        ValueError: the target is missing, or there is no such column.
    """
    if roles.target is None:
        raise ValueError(f"target is missing: name the column of {data} to predict")
    found = {role: _find(role, name, names, data) for role, name in roles.named().items()}
    return roles._replace(**found, drop=tuple(_find("drop", name, names, data) for name in roles.drop))


def _find(role: str, given: str, names: list[str], data: str) -> str:
    for name in names:
        if is_same_name(name, given):
            return name
    near = get_close_matches(given, names, 1)
    columns = ", ".join(name for name in names if name)
    hint = f"did you mean {near[0]!r}?" if near else f"its columns: {columns}"
    raise ValueError(f"{data}: no column {given!r} for {role}; {hint}")


def is_same_name(name: str, given: str) -> bool:
    """Whether they are the same to a reader: an accent may be a sign of its own."""
    return unicodedata.normalize("NFC", name) == unicodedata.normalize("NFC", given.strip())


def quoted(name: str) -> str:
    """A name as it is written in a command line."""
    return shlex.quote(name)


def drop_option(names: Iterable[str]) -> str:
    """The option of the command line that leaves these columns out: `--drop a,b`."""
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(names)
    return f"--drop {quoted(text.getvalue())}"


def names_in(text: str) -> tuple[str, ...]:
    """The names of columns between commas, as `drop_option` writes them; one with a comma is in quotes.

    Raises:
        ValueError: the end of a line outside of quotes.
    """
    try:
        rows = list(csv.reader([text], skipinitialspace=True))
    except csv.Error as error:
        raise ValueError(f"{text!r} cannot be read: {error}") from None
    return tuple(name.strip() for row in rows for name in row if name.strip())
