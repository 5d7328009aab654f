"""What a person's function raises while JAX traces it, said in one line with what to do."""

import contextlib
import re
import traceback
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

from jaxgd.fingerprints.code_reads import is_library

# What a function did with a number that is not known while it is traced, and what to do. The last is the
# class of the others: the first that fits counts.
_TRACED: dict[type[Exception], str] = {
    jax.errors.TracerBoolConversionError: "branches in Python on a traced number{at}: use jnp.where or "
    "jax.lax.cond in place of if, and, or, min, max",
    jax.errors.TracerArrayConversionError: "gives a traced array to NumPy{at}: use "
    "the function of jax.numpy, and jnp.asarray(data) of data that it indexes",
    jax.errors.TracerIntegerConversionError: "takes a traced number for an index or a length{at}: index an "
    "array of JAX by it, or take what does not change, such as x.shape[0]",
    jax.errors.NonConcreteBooleanIndexError: "picks places by a traced mask{at}: use jnp.where(mask, x, 0)",
    jax.errors.ConcretizationTypeError: "makes a Python number of a traced one{at}: leave it an array, "
    "x.astype(float) in place of float(x)",
}


@contextlib.contextmanager
def explained(what: str, batch: Any = None) -> Iterator[None]:
    """A context in which a person's function is called; what JAX and Flax raise leaves it as one line.

    Errors of shapes and dtypes keep their text, and say of what batch.

    Args:
        what: which of a person's functions, such as "loss".
        batch: what it is called with.

    Raises:
        TypeError: it needs the value of a number that is traced.
        ValueError: it calls a Flax module that lacks a key, or a state that it reads or changes.
    """
    try:
        yield
    except tuple(_TRACED) as error:
        done = next(text for kind, text in _TRACED.items() if isinstance(error, kind))
        raise TypeError(f"{what} {done.format(at=_place(error))}") from None
    except Exception as error:
        if type(error).__module__ == "flax.errors":
            raise ValueError(f"{what} {_of_flax(error)}") from None
        if batch is None or type(error) not in (TypeError, ValueError) or _is_ours(error):
            raise
        raise type(error)(f"{error} (from {what} of a batch {_shapes(batch)})") from error


def _place(error: Exception) -> str:
    """Where a person's own code raised it, in brackets."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    places = zip(frames, traceback.extract_tb(error.__traceback__), strict=True)
    own = [place for frame, place in places if not is_library(frame.f_globals.get("__name__", ""))]
    return f" ({own[-1].filename}, line {own[-1].lineno})" if own else ""


def _is_ours(error: Exception) -> bool:
    """Whether jaxgd raised it, which says by itself what is wrong."""
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    return frame.f_globals.get("__name__", "").partition(".")[0] == "jaxgd"


def _of_flax(error: Exception) -> str:
    """What a call of a Flax module lacked, and which function gives it."""
    text = str(error).partition(" (https://")[0].rstrip(".")
    kind = type(error).__name__
    if kind == "InvalidRngError":
        stream = (re.findall(r'PRNG for "(\w+)"', text) or ["dropout"])[0]
        named = "" if stream == "dropout" else f', rngs=("{stream}",)'
        return (
            f"calls a Flax module without the key that it draws from ({text}): "
            f"jaxgd.from_linen(module, inputs{named}) gives it one for each example in training, told by a "
            "parameter train or deterministic of its __call__"
        )
    if kind in ("ScopeCollectionNotFound", "ModifyScopeVariableError"):
        return (
            f"calls a Flax module whose state it does not keep ({text}): jaxgd.from_linen(module, inputs) "
            "gives a Model that has it as model_state"
        )
    return f"calls a Flax module that says: {text}"


def _shapes(batch: Any) -> str:
    """Shapes and dtypes of a batch as one reads them: (float32[8, 4], int32[8])."""
    return re.sub(r"'(\w+\[[\d, ]*\])'", r"\1", repr(jax.tree.map(_shape, batch)))


def _shape(leaf: Any) -> str:
    return f"{jax.dtypes.result_type(leaf)}{list(np.shape(leaf))}"
