"""What a function consists of, as JAX has traced it."""

from collections.abc import Iterator
from typing import Any

import jax


def is_jaxpr(value: Any) -> bool:
    """Whether it is a function as JAX traces it, or holds one."""
    return hasattr(value, "eqns") or hasattr(getattr(value, "jaxpr", None), "eqns")


def operations_of(jaxpr: Any) -> Iterator[Any]:
    """The operations of a function, and of those within it, each once."""
    for operation in getattr(jaxpr, "jaxpr", jaxpr).eqns:
        yield operation
        for inner in jax.tree.leaves(list(operation.params.values()), is_leaf=is_jaxpr):
            if is_jaxpr(inner):
                yield from operations_of(inner)
