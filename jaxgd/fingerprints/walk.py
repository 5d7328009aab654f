"""What an object does, as hashable data: its code, and what the code reads besides its arguments."""

import functools
import sys
import types
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.core import Tracer

from jaxgd.fingerprints.code_reads import is_installed, is_library, names_of_class, reads_of

PLAIN = (type(None), bool, int, float, complex, str, bytes, np.dtype, np.generic)
# Objects further away, or more of them, are compared by identity alone.
_DEEPEST, _MOST = 40, 2000
# Methods that Python calls unasked are read (of a class derived from a package's, all that this might call),
# but those that build, show or compare objects are not.
_NOT_READ = frozenset(
    f"__{name}__"
    for name in (
        *("init", "new", "post_init", "init_subclass", "repr", "str", "eq", "ne", "hash", "del"),
        *("reduce", "reduce_ex", "getstate", "setstate", "setattr", "delattr", "replace"),
    )
)
# Code that has one of these names may read any attribute.
_READS_ANY = frozenset({"vars", "__dict__", "asdict", "astuple", "getattr", "attrgetter"})


class Identity:
    """A hashable stand-in for an object that is equal to nothing but itself."""

    __slots__ = ("object",)

    def __init__(self, obj):
        self.object = obj

    def __eq__(self, other):
        return isinstance(other, Identity) and self.object is other.object

    def __hash__(self):
        return id(self.object)


class Described:
    """Base of what carries a walk of its own, as `reading`, from when it was built."""

    __slots__ = ("reading",)
    reading: Any


def plain(value: Any) -> tuple[type, Any]:
    """A description that tells 1 from 1.0 and True, 0.0 from -0.0, and NaN from no other NaN."""
    return type(value), repr(value) if isinstance(value, float | complex | np.generic) else value


class Describer:
    """One pass over an object and all that its code reads.

    names: those that the code met so far reads as globals or attributes, or has as texts; of an object's
    attributes only these count. names_when_chosen: how many they were when that first mattered.
    """

    def __init__(self, names: set[str]):
        self.names = set(names)
        self.names_when_chosen: int | None = None
        self.places: list[Spot] = []
        self.tracers: list[Tracer] = []
        self.jitted: list[Any] = []
        self.met: dict[int, int] = {}
        self.open: list[int] = []
        self.is_whole = False

    def describe(self, value: Any, name: Any) -> Any:
        """Hashable description of `value`, which was read under `name`."""
        if isinstance(value, PLAIN):
            return plain(value)
        if id(value) in self.open:
            return "cycle", self.open.index(id(value))
        if id(value) in self.met:
            return "again", self.met[id(value)]
        if isinstance(value, Described):
            self.places += value.reading.places
            self.tracers += value.reading.tracers
            self.jitted += value.reading.jitted
            return value.reading.fingerprint
        if isinstance(value, Tracer):
            self.tracers.append(value)
        if isinstance(value, jax.Array) or len(self.open) > _DEEPEST or len(self.met) > _MOST:
            return Identity(value)
        if isinstance(value, np.ndarray):
            return self._array(value, name)
        if isinstance(value, types.MethodType):
            return "method", self.describe(value.__func__, name), self.describe(value.__self__, name)
        if isinstance(value, types.BuiltinMethodType) and not isinstance(
            value.__self__, types.ModuleType | None
        ):
            return "builtin", value.__name__, self.describe(value.__self__, name)
        self.open.append(id(value))
        described = self._parts(value, name)
        self.open.pop()
        return described

    def _parts(self, value, name):
        if isinstance(value, dict):
            return self._dict(value, name)
        if isinstance(value, tuple | list):
            return self._sequence(value, name)
        if isinstance(value, set | frozenset):
            return type(value), frozenset(self.describe(item, name) for item in value)
        if isinstance(value, functools.partial):
            parts = value.func, value.args, value.keywords
            return type(value), *(self.describe(part, name) for part in parts)
        if isinstance(value, property | functools.cached_property):
            return type(value), self.describe(value.fget if isinstance(value, property) else value.func, name)
        if isinstance(value, staticmethod | classmethod):
            return type(value), self.describe(value.__func__, name)
        # What follows is described where it is met first, and referred to afterwards.
        self.met[id(value)] = len(self.met)
        if isinstance(value, types.ModuleType):
            return value, () if is_library(value.__name__) else self._chosen(vars(value), name)
        if is_importable(value):
            return Identity(value)
        if isinstance(value, types.FunctionType):
            return self._function(value)
        if isinstance(value, type):
            return self._class(value, name)
        described = [self.describe(type(value), name)]
        wrapped = _own_attribute(value, "__wrapped__", None)
        if isinstance(wrapped, types.FunctionType):
            described.append(self.describe(wrapped, name))
            self.jitted += [value] if hasattr(value, "clear_cache") else []
        is_value = _compares_by_value(value)
        if is_value:
            described += self._code_in(value, name)
        if not is_value or not (_is_frozen(type(value)) or is_library(type(value).__module__)):
            described.append(self._state(value, name))
        return value if is_value else Identity(value), tuple(described)

    def _dict(self, value, name):
        described = []
        self._note(length_of, value, None, len(value), name)
        for key, item in list(value.items()):
            inner = (name, f"[{key!r}]")
            self._note(item_of, value, key, item, inner)
            described.append((self.describe(key, inner), self.describe(item, inner)))
        return dict, tuple(described)

    def _sequence(self, value, name):
        inner = [(name, f"[{index}]") for index in range(len(value))]
        if isinstance(value, list):
            self._note(length_of, value, None, len(value), name)
            for index, item in enumerate(value):
                self._note(element_of, value, index, item, inner[index])
        return type(value), tuple(map(self.describe, value, inner))

    def _array(self, array, name):
        if not array.flags.writeable:
            return Identity(array)
        content = hash_of(array, None)
        self._note(hash_of, array, None, content, name)
        return Identity(array), content

    def _function(self, function):
        reads, scope = reads_of(function.__code__), function.__globals__
        is_own = not is_library(scope.get("__name__", ""))
        self.names |= reads.names if is_own else frozenset()
        name: Any = ((), function.__name__)
        described: list[Any] = [
            "function",
            function.__code__,
            self.describe(function.__defaults__, (name, "a default")),
            self.describe(function.__kwdefaults__, (name, "a default")),
        ]
        for variable, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            if variable not in reads.changed:
                described.append(self._read(contents_of, cell, None, (name, variable)))
        if is_own:
            present = (variable for variable in reads.globals if variable in scope)
            described += ((v, self._read(item_of, scope, v, (name, v))) for v in present)
            described += (self.describe(sys.modules.get(m), (name, m)) for m in reads.imports)
            described.append(self._members(vars(function), vars(function).keys() - {"__wrapped__"}, name))
        return tuple(described)

    def _class(self, cls, name):
        """A class of the user's with what code reads of it; of a library's, no more than which it is."""
        members, is_derived = [], any(is_installed(base.__module__) for base in cls.__mro__)
        for base in cls.__mro__:
            if not is_library(base.__module__):
                unasked = (
                    key
                    for key, member in vars(base).items()
                    if (is_derived or key.startswith("__")) and key not in _NOT_READ
                    if isinstance(member, types.FunctionType)
                )
                members.append((self._chosen(vars(base), name), self._members(vars(base), unasked, name)))
        return cls, tuple(members)

    def _state(self, value, name):
        """Of an object the attributes that code in reach may read."""
        cls, was_whole, described = type(value), self.is_whole, []
        held = _own_attribute(value, "__dict__", None)
        if callable(value) and is_library(cls.__module__):
            self.names |= names_of_class(cls)
        self.is_whole |= hasattr(cls, "__getattr__") or isinstance(cls.__getattribute__, types.FunctionType)
        if isinstance(held, dict):
            described.append(self._chosen(held, name))
            for key in self.names:  # set on the object, it would hide what the class has
                if key not in held and hasattr(cls, key):
                    self._note(item_of, held, key, ABSENT, (name, f".{key}"))
        slots = [key for key in _slots_of(cls) if self.is_whole or key in self.names]
        described += ((key, self._read(attribute_of, value, key, (name, f".{key}"))) for key in slots)
        self.is_whole = was_whole
        return tuple(described)

    def _chosen(self, members, name):
        """The members that code in reach may read."""
        if self.names_when_chosen is None:
            self.names_when_chosen = len(self.names)
        if self.is_whole or not self.names.isdisjoint(_READS_ANY):
            self._note(length_of, members, None, len(members), name)
            return self._members(members, members, name)
        return self._members(members, [key for key in members if key in self.names], name)

    def _members(self, members, keys, name):
        return tuple(
            (key, self._read(item_of, members, key, (name, f".{key}"))) for key in sorted(keys, key=str)
        )

    def _code_in(self, value, name) -> Iterator[Any]:
        """Functions and classes within an object that compares by value: they may read more than it holds."""
        if isinstance(value, tuple | list | frozenset | dict):
            parts = list(value.values() if isinstance(value, dict) else value)
        else:
            parts = list((_own_attribute(value, "__dict__", None) or {}).values())
            parts += [attribute_of(value, key) for key in _slots_of(type(value))]
        for part in parts if len(self.open) < _DEEPEST else ():
            if isinstance(part, PLAIN) or id(part) in self.open:
                continue
            if isinstance(part, types.FunctionType | type | functools.partial | types.MethodType):
                yield self.describe(part, name)
            elif isinstance(part, tuple | list | frozenset | dict) or _compares_by_value(part):
                if not is_library(type(part).__module__):
                    yield self.describe(type(part), name)
                self.open.append(id(part))
                yield from self._code_in(part, name)
                self.open.pop()

    def _read(self, read, holder, key, name):
        value = read(holder, key)
        self._note(read, holder, key, value, name)
        return None if value is ABSENT else self.describe(value, name)

    def _note(self, read, holder, key, value, name):
        self.places.append(Spot(read, holder, key, value, name))


def _own_attribute(value: Any, name: str, default: Any) -> Any:
    """An attribute, past what the class makes of unknown ones."""
    try:
        return object.__getattribute__(value, name)
    except AttributeError:
        return default


@functools.lru_cache(maxsize=1024)
def _slots_of(cls: type) -> tuple[str, ...]:
    slots = (vars(base).get("__slots__", ()) for base in cls.__mro__)
    names = [name for some in slots for name in ([some] if isinstance(some, str) else some)]
    return tuple(name for name in names if name not in ("__dict__", "__weakref__"))


def is_importable(value: Any) -> bool:
    """Whether it is what a library's module has under its name."""
    module, name = _own_attribute(value, "__module__", None), _own_attribute(value, "__name__", None)
    if not isinstance(module, str) or not isinstance(name, str) or not is_library(module):
        return False
    return getattr(sys.modules.get(module), name, None) is value


def _compares_by_value(value: Any) -> bool:
    """Whether the type promises value equality, as a frozen dataclass or a Flax Linen module does."""
    if type(value).__eq__ is object.__eq__:
        return False
    try:
        hash(value)
    except TypeError:
        return False
    return True


def _is_frozen(cls: type) -> bool:
    """Whether attributes cannot be set, as in a frozen dataclass or a Flax Linen module."""
    return cls.__setattr__ is not object.__setattr__


ABSENT = object()
# Arrays of at most so many bytes are compared whole, of larger ones so many elements.
_WHOLE_BYTES, _SAMPLED = 2**14, 2**11


class Spot(NamedTuple):
    """Where something was read: what it held, how to read it again, and its name.

    name: nested pairs `(name of the holder, text)`, innermost the function that reads.
    """

    read: Callable[[Any, Any], Any]
    holder: Any
    key: Any
    value: Any
    name: Any


def all_same(places: Iterable[Spot]) -> bool:
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
