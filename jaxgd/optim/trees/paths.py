"""Parts of optimizers and schedules by path: names joined by dots, such as `"g.learning_rate.peak_value"`."""

from collections.abc import Iterable
from typing import Any, Self

from jaxgd.pytrees import Static


class Parted:
    """Base of what has named parts, which may have parts themselves.

    `whole["a.b"]` reads a part and `whole.replace(**{"a.b": value})` gives a copy with another one. The items
    of a tuple, such as the schedules of `join_schedules`, are named "0", "1", ...
    """

    def __getitem__(self, path: str) -> Any:
        name, rest = _first(path, self._names)
        try:
            part = self._part(name)
            return _in_part(part, rest) if rest else part
        except AttributeError as error:
            raise KeyError(str(error)) from None

    def replace(self, **changes: Any) -> Self:
        """A copy with some parts changed, each checked as when it was built.

        A name that is no identifier is given as `replace(**{"g.learning_rate": 0.1})`.
        """
        changed = self
        for path, value in changes.items():
            changed = _changed(changed, path, value)
        return changed

    @property
    def _names(self) -> Iterable[str]:
        raise NotImplementedError

    def _part(self, name: str) -> Any:
        """The part, or AttributeError."""
        raise NotImplementedError

    def _with_part(self, name: str, value: Any) -> Self:
        """A copy with another part, or TypeError or AttributeError if there is none of that name."""
        raise NotImplementedError


def _first(path: str, names: Iterable[str]) -> tuple[str, str]:
    """The first name of a path and the rest; a name may have dots of its own."""
    fitting = [name for name in names if path == name or path.startswith(f"{name}.")]
    name = max(fitting, key=len, default=path.partition(".")[0])
    return name, path[len(name) + 1 :]


def _in_part(part: Any, path: str) -> Any:
    if isinstance(part, Parted):
        return part[path]
    index, rest = _place(part, path)
    item = part[index].value if isinstance(part[index], Static) else part[index]
    return _in_part(item, rest) if rest else item


def _changed(part: Any, path: str, value: Any) -> Any:
    if isinstance(part, Parted):
        name, rest = _first(path, part._names)
        return part._with_part(name, _changed(part._part(name), rest, value) if rest else value)
    index, rest = _place(part, path)
    return (*part[:index], _changed(part[index], rest, value) if rest else value, *part[index + 1 :])


def _place(part: Any, path: str) -> tuple[int, str]:
    index, _, rest = path.partition(".")
    if type(part) is not tuple or not index.isdecimal() or int(index) >= len(part):
        raise AttributeError(f"{part!r} has no part {index!r}")
    return int(index), rest
