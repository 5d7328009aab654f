"""Batches out of arrays that need not fit into memory, such as NumPy's memmaps."""

from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

from jaxgd.aliases import Batch, Key, WholeNumber
from jaxgd.arguments import whole_number
from jaxgd.training.fitting import check_key
from jaxgd.training.host_orders import orders_from
from jaxgd.training.problems.problem import num_examples, with_checked_lengths


class ShuffledBatches:
    """What `batches` gives: one pass after the other over shuffled batches, for `train(..., batches=...)`.

    A pass is those batches in the order of the epoch that is next, 0 at first; `set_epoch` says which.
    """

    def __init__(self, arrays: Any, batch_size: WholeNumber, key: Key):
        check_key(key)
        self._num = num_examples(with_checked_lengths("arrays", arrays))
        self._size = whole_number("batch_size", batch_size)
        if self._size > self._num:
            raise ValueError(
                f"batch_size must be {self._num}, the number of examples, or less, got {self._size}"
            )
        self._arrays, self._key = arrays, key
        self._epoch = self._used = 0

    def __len__(self) -> int:
        """How many batches a pass has."""
        return -(-self._num // self._size)

    def __iter__(self) -> Iterator[Batch]:
        """The batches of a pass."""
        orders = orders_from(self._key, self._epoch, 1, self._num, "shuffle")
        order = np.asarray(jax.device_get(orders))[0]
        while self._used < len(self):
            rows = order[self._used * self._size : (self._used + 1) * self._size]
            self._used += 1
            yield jax.tree.map(lambda array, rows=rows: _taken(array, rows), self._arrays)
        self.set_epoch(self._epoch + 1)

    def set_epoch(self, epoch: int) -> None:
        """Begin the pass of this epoch, from 0, next."""
        self._epoch, self._used = epoch, 0

    def state_dict(self) -> dict[str, int]:
        """Which epoch it is in, and how many of its batches have been given."""
        return {"epoch": self._epoch, "batches": self._used}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on where `state_dict` was."""
        self._epoch, self._used = state["epoch"], state["batches"]

    def __repr__(self):
        return f"batches({self._num} examples in {len(self)} batches of {self._size})"


def _taken(array: Any, rows: np.ndarray) -> np.ndarray:
    """Those rows; NumPy's `take` is a quarter quicker than its indexing."""
    return array.take(rows, axis=0) if isinstance(array, np.ndarray) else np.asarray(array[rows])
