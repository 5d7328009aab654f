"""Batches that come one after the other, read a few at a time while the device works on those before."""

import itertools
import math
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxgd.pytrees import Static
from jaxgd.training.batching import Window
from jaxgd.training.problems.problem import are_kept, check_numbers, num_examples, with_checked_lengths

# A chunk has room for batches of so many bytes together, and for so many at most; reading one takes about
# so many seconds at most.
_MAX_BYTES, _MAX_BATCHES, SECONDS = 2**23, 256, 0.25
_ALIGNED = 64
# How many examples an epoch has before its end has come.
UNKNOWN = 2**31 - 1


class Bookmark(NamedTuple):
    """Where a run is in its batches.

    passes: that are behind it. batches: of the next one that are. loader: what the loader says of where it
    is, None if it says nothing.
    """

    passes: int
    batches: int
    loader: Any = None


class LoaderError(Exception):
    """What gives the batches has raised something, which is its cause."""


class Chunk(NamedTuple):
    """Batches that have been read together, one or more.

    rows: a tree of NumPy arrays with room for as many batches as any chunk holds. batches: that are there.
    examples: of them. is_remainder: whether they are a batch that is shorter than the others and must not be
    padded. is_last: whether the pass ends with them, or nothing more is to be read. place: behind them.
    """

    rows: Any
    batches: int
    examples: int
    is_remainder: bool
    is_last: bool
    place: Bookmark

    def window(self, first: int) -> Window:
        """The chunk as training data, from so many examples of an epoch on."""
        remainder = Static(self.examples if self.is_remainder else None)
        return Window(jax.device_put(self.rows), np.int32(first), np.int32(UNKNOWN), remainder)


class Batches:
    """What reads batches from whatever gives them, pass by pass, and refuses what is none.

    Args:
        source: what gives them.
        size: how many examples a batch has; the last of a pass may have fewer.
        drop: whether such a short one is left out.
        whole: whether it must not be padded.
        most: so many batches are read and no more; None for all.
        check: called with the name and the arrays of each batch, gives the batch to train on or raises
            ValueError.
    """

    def __init__(
        self,
        source: Iterable,
        size: int,
        drop: bool,
        whole: bool,
        most: int | None,
        check: Callable[[str, Any], Any],
    ):
        if not isinstance(source, Iterable) and not hasattr(source, "__getitem__"):
            raise TypeError(
                "batches must be something to iterate over, such as a DataLoader, a list of batches or a "
                f"generator, got {type(source).__name__}"
            )
        self._iterator: Any = None
        self._source: Any = source
        self._size, self._drop, self._whole, self._check = size, drop, whole, check
        self._left = 2**62 if most is None else most
        self._buffers: list[Any] = []
        self._shapes: dict[str, str] = {}
        self._kinds: Any = None
        self._room = 1
        # How many batches the next chunk has at most.
        self.limit = 1

    @property
    def is_read_once(self) -> bool:
        """Whether there is no second pass."""
        return isinstance(self._source, Iterator)

    @property
    def length(self) -> int | None:
        """How many batches a pass has, where the loader says so."""
        try:
            return len(self._source)
        except (TypeError, NotImplementedError):
            return None

    def go_to(self, place: Bookmark) -> int:
        """Go to where a run was in its batches.

        A loader that has said where it was goes there. Any other is read again, from its start or, if it has
        a `set_epoch`, from that of the pass; how many batches are, is returned.
        """
        passes, batches, loader = place
        source, is_set = self._source, hasattr(self._source, "set_epoch")
        if loader is not None and hasattr(source, "load_state_dict"):
            if batches or not is_set:
                source.load_state_dict(loader)
                self._iterator = iter(source)
            return 0
        if loader is not None and hasattr(self._opened(passes), "set_state"):
            if batches:
                self._iterator.set_state(loader)
            return 0
        again, self._iterator = 0, None
        for number in range(passes if is_set else 0, passes):
            again += sum(1 for _ in self._opened(number))
            self._iterator = None
        skipped = sum(1 for _ in itertools.islice(self._opened(passes), batches))
        if skipped < batches:
            raise ValueError(f"batches has {skipped} batches in a pass of which the run has used {batches}")
        return again + skipped

    def read(self, place: Bookmark) -> Iterator[Chunk]:
        """The chunks of the pass from there on; if it has no batch there, those of the next one, if any.

        Of each chunk the batch after it has been looked for, so that the last one is known to be that.
        """
        passes, used, _ = place
        iterator, self._iterator = self._opened(passes), None
        coming, failure = self._checked(iterator, used), None
        batch = self._next(coming)
        if batch is None and self._left and not self.is_read_once and (used or place.loader is not None):
            passes, used, iterator = passes + bool(used), 0, self._opened(passes + bool(used))
            coming, self._iterator = self._checked(iterator, 0), None
            batch = self._next(coming)
        while batch is not None:
            lengths, loader, began = [], None, time.perf_counter()
            while batch is not None:
                self._keep(batch, len(lengths))
                lengths.append(num_examples(batch))
                loader = _place_of(self._source, iterator)
                try:
                    batch = self._next(coming)
                except (LoaderError, ValueError) as error:
                    failure = error  # what has been read until then is used all the same
                    break
                is_full = len(lengths) >= min(self.limit, self._room)
                if is_full or time.perf_counter() - began > SECONDS or self._stands_alone(batch):
                    break
            used += len(lengths)
            is_last = batch is None and failure is None
            has_ended = is_last and self._left > 0
            behind = Bookmark(passes + 1, 0, loader) if has_ended else Bookmark(passes, used, loader)
            is_remainder = self._whole and sum(lengths) < self._size
            rows = self._buffers[0]
            self._buffers.reverse()
            yield Chunk(rows, len(lengths), sum(lengths), is_remainder, is_last, behind)
            if failure is not None:
                raise failure

    def _next(self, coming: Iterator[Any]) -> Any:
        """The next batch of a pass; None at its end, or if no more are to be read."""
        batch = next(coming, None) if self._left else None
        self._left -= batch is not None
        return batch

    def _stands_alone(self, batch: Any) -> bool:
        """Whether the batch is a chunk of its own."""
        return self._whole and batch is not None and num_examples(batch) < self._size

    def _opened(self, epoch: int) -> Any:
        """The iterator of the pass under way, or of this one, which begins."""
        if self._iterator is None:
            if hasattr(self._source, "set_epoch"):
                self._source.set_epoch(epoch)
            self._iterator = iter(self._source)
        return self._iterator

    def _checked(self, iterator: Iterator, used: int) -> Iterator[Any]:
        """The batches of a pass as arrays, each looked at."""
        for number, given in enumerate(_heard(iterator), used):
            name = f"batch {number}"
            batch = _as_numbers_of_jax(name, self._as_arrays(name, given))
            length = num_examples(batch)
            if length > self._size:
                raise ValueError(f"{name} has {length} examples, more than batch_size, {self._size}")
            if length < self._size and next(_heard(iterator), None) is not None:
                raise ValueError(
                    f"{name} has {length} examples and is not the last of its pass: each but the last must "
                    f"have batch_size, {self._size}"
                )
            if length == self._size or not self._drop:
                yield self._check(name, batch)

    def _as_arrays(self, name: str, given: Any) -> Any:
        """The batch as arrays of NumPy; raises ValueError unless it is one, and like the first."""
        leaves, structure = jax.tree.flatten(given)
        leaves = [np.asarray(leaf) for leaf in leaves]
        batch = structure.unflatten(leaves)
        kinds = structure, [(leaf.dtype, leaf.shape[1:]) for leaf in leaves]
        lengths = {leaf.shape[:1] for leaf in leaves}
        if kinds != self._kinds or len(lengths) != 1 or (0,) in lengths:
            self._check_shapes(name, with_checked_lengths(name, batch))
            self._kinds = kinds
        return batch

    def _check_shapes(self, name: str, batch: Any) -> None:
        """Raise ValueError unless the batch is like the first one."""
        shapes = {
            jax.tree_util.keystr(path): f"{leaf.dtype}[{', '.join(['n', *map(str, leaf.shape[1:])])}]"
            for path, leaf in jax.tree_util.tree_leaves_with_path(batch)
        }
        if not self._shapes:
            self._shapes = shapes
        for path in {**self._shapes, **shapes}:
            found, wanted = shapes.get(path, "not there"), self._shapes.get(path, "not there")
            if found != wanted:
                raise ValueError(f"{name}{path} is {found}, in the first batch it is {wanted}")

    def _keep(self, batch: Any, place: int) -> None:
        """Copy a batch to its place among those of the chunk, filled up with its first example.

        Two chunks take turns: one may be read by the device while the other is filled.
        """
        if not self._buffers:
            size = sum(leaf.nbytes // len(leaf) for leaf in jax.tree.leaves(batch)) * self._size
            self._room = max(1, min(_MAX_BATCHES, _MAX_BYTES // max(size, 1)))
            self._buffers = [jax.tree.map(self._empty, batch) for _ in range(2)]
        rows = slice(place * self._size, place * self._size + num_examples(batch))
        for leaf, buffer in zip(*map(jax.tree.leaves, (batch, self._buffers[0])), strict=True):
            buffer[rows] = leaf
            if len(leaf) < self._size:
                buffer[rows.stop : (place + 1) * self._size] = leaf[0]

    def _empty(self, leaf: np.ndarray) -> np.ndarray:
        """Memory that a CPU reads where it is: JAX copies what does not begin at a multiple of 64 bytes."""
        shape = (self._room * self._size, *leaf.shape[1:])
        size = leaf.dtype.itemsize * math.prod(shape)
        memory = np.zeros(size + _ALIGNED, np.uint8)
        begin = -memory.ctypes.data % _ALIGNED
        return memory[begin : begin + size].view(leaf.dtype).reshape(shape)


def _as_numbers_of_jax(name: str, batch: Any) -> Any:
    """The batch in the dtypes that JAX gives it; raises ValueError if a number is not finite or too large."""
    leaves, structure = jax.tree.flatten(batch)
    with np.errstate(over="ignore"):
        made = [leaf.astype(jax.dtypes.canonicalize_dtype(leaf.dtype), copy=False) for leaf in leaves]
    pairs = list(zip(leaves, made, strict=True))
    if not all(are_kept(leaf, kept) for leaf, kept in pairs):
        paths = [path for path, _ in jax.tree_util.tree_leaves_with_path(batch)]
        for path, (leaf, kept) in zip(paths, pairs, strict=True):
            check_numbers(name + jax.tree_util.keystr(path), leaf, kept)
    return structure.unflatten(made)


def _heard(iterator: Iterator) -> Iterator[Any]:
    """What the iterator gives; what it raises comes as a `LoaderError`."""
    while True:
        try:
            given = next(iterator)
        except StopIteration:
            return
        except Exception as error:
            raise LoaderError(f"batches raised {type(error).__name__}: {error}") from error
        yield given


def _place_of(source: Any, iterator: Any) -> Any:
    """What the loader says of where it is: a `state_dict` of it, or Grain's `get_state` of its iterator."""
    for says in (getattr(source, "state_dict", None), getattr(iterator, "get_state", None)):
        if says is not None:
            return says()
    return None
