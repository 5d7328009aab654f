"""Places of state outside a function's arguments, and whether they hold what they held."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

ABSENT = object()
# Arrays of at most so many bytes are compared whole, of larger ones so many elements.
_WHOLE_BYTES, _SAMPLED = 2**14, 2**11


class Place(NamedTuple):
    """Where something was read: what it held, how to read it again, and its name.

    name: nested pairs `(name of the holder, text)`, innermost the function that reads.
    """

    read: Callable[[Any, Any], Any]
    holder: Any
    key: Any
    value: Any
    name: Any


def all_same(places: Iterable[Place]) -> bool:
    """Whether each place holds the very object that it held, or an equal int."""
    for read, holder, key, value, _ in places:
        now = read(holder, key)
        if now is not value and not (type(now) is int and now == value):
            return False
    return True


def text_of(name: Any) -> str:
    """Such as "loss reads CONF['scale']"."""
    parts = []
    while name:
        name, part = name
        parts.append(part)
    reader, *rest = reversed(parts)
    return f"{reader} reads {''.join(rest).lstrip('.') or 'its own'}"


def versus(before: Any, now: Any) -> str:
    """What became of a value, in words."""
    texts = ["absent" if value is ABSENT else repr(value) for value in (before, now)]
    if texts[0] == texts[1] or any(len(text) > 40 or "\n" in text for text in texts):
        return f"held another {type(before).__name__}"
    return f"was {texts[0]} then and is {texts[1]} now"


def item_of(mapping, key):
    """The entry of a mapping."""
    return mapping.get(key, ABSENT)


def element_of(sequence, index):
    """The element of a sequence."""
    return sequence[index] if index < len(sequence) else ABSENT


def attribute_of(obj, name):
    """The attribute of an object."""
    return getattr(obj, name, ABSENT)


def contents_of(cell, _):
    """What a closure's variable holds."""
    try:
        return cell.cell_contents
    except ValueError:  # a name that is bound later
        return ABSENT


def length_of(container, _):
    """How many entries a container has."""
    return len(container)


def hash_of(array, _):
    """A hash of what an array holds."""
    if array.nbytes > _WHOLE_BYTES:
        array = array.flat[:: -(-array.size // _SAMPLED)]
    return hash(array.tobytes())
