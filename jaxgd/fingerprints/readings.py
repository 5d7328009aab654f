"""What an object does at a moment, and what has changed since."""

import weakref
from collections.abc import Sequence
from typing import Any

from jaxgd.fingerprints.walk import PLAIN, Describer, all_same, hash_of, length_of, plain, text_of, versus


class Reading:
    """What an object does, at the moment at which it is read.

    Attributes:
        fingerprint: hashable; equal for objects of the same code that read the same state.
        places: those of that state which may change.
        tracers: the JAX tracers among it.
        jitted: what `jax.jit` made of functions among it.
    """

    __slots__ = ("fingerprint", "jitted", "places", "tracers")

    def __init__(self, value: Any):
        if isinstance(value, PLAIN):
            self.fingerprint, self.places, self.tracers, self.jitted = plain(value), (), (), ()
            return
        names: set[str] = set()
        while True:
            walk = Describer(names)
            self.fingerprint = walk.describe(value, ((), getattr(value, "__name__", type(value).__name__)))
            if walk.names_when_chosen in (None, len(walk.names)):
                break
            names = walk.names  # attributes were passed over before the code that reads them was met
        self.places, self.tracers, self.jitted = walk.places, tuple(walk.tracers), tuple(walk.jitted)

    def is_same(self) -> bool:
        """Whether every place that was read holds the very objects that it held."""
        return all_same(self.places)

    @property
    def change(self) -> str:
        """What has changed since, in words."""
        moved = [place for place in self.places if not all_same([place])]
        for place in moved:
            now = place.read(place.holder, place.key)
            if Reading(now).fingerprint != Reading(place.value).fingerprint:
                was = "was changed" if place.read in (hash_of, length_of) else versus(place.value, now)
                return f"{text_of(place.name)}, which {was}"
        return f"{text_of(moved[0].name)}, which was changed" if moved else "what has changed"


# With what state the functions that users jitted were traced last.
_TRACED: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()


def forget_old_traces(jitted: Sequence[Any]) -> None:
    """Have what `jax.jit` made of functions traced anew if these read another state than when it was last.

    JAX goes by the function and its arguments, within other programs too.
    """
    for program in jitted:
        now = Reading(program.__wrapped__).fingerprint
        if _TRACED.get(program.__wrapped__) != now:
            program.clear_cache()
            _TRACED[program.__wrapped__] = now
