"""What is made once in a process, and kept for whoever asks again. No JAX."""

import threading
from collections.abc import Callable, Hashable
from typing import Any


class Kept:
    """What was made for a key; of what weighs more than `most` together the oldest is let go.

    weigh: of what was made, 1 each if None. Two threads that ask at once may both make it: a thread waits for
    nobody.
    """

    def __init__(self, most: int = 256, weigh: Callable[[Any], int] | None = None):
        self._made: dict[Hashable, tuple[Any, int]] = {}
        self._most, self._weigh, self._weight = most, weigh or (lambda made: 1), 0
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """What is kept under the key, made now where there is nothing."""
        with self._lock:
            if key in self._made:
                return self._made[key][0]
        made = make()
        self.put(key, made)
        return made

    def find(self, key: Hashable) -> Any:
        """What is kept under the key; None where there is nothing."""
        with self._lock:
            return self._made.get(key, (None, 0))[0]

    def __len__(self):
        return len(self._made)

    def put(self, key: Hashable, made: Any) -> None:
        """Keep this, instead of what there is under the key."""
        weight = self._weigh(made)
        with self._lock:
            self._remove(key)
            if weight <= self._most:
                self._made[key], self._weight = (made, weight), self._weight + weight
            while self._weight > self._most:
                self._remove(next(iter(self._made)))

    def pop(self, key: Hashable) -> Any:
        """What is kept under the key, and no longer is; None where there is nothing."""
        with self._lock:
            return self._remove(key)

    def _remove(self, key: Hashable) -> Any:
        made, weight = self._made.pop(key, (None, 0))
        self._weight -= weight
        return made
