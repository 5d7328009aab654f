"""Trees of parameters as JSON and arrays: how a file keeps dicts, lists, tuples and NamedTuples."""

import sys
from collections import namedtuple
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

# JSON keeps these keys of a dict as they are.
_KEYS = (str, int, float, bool)


def describe(tree: Any) -> tuple[dict[str, Any], list[np.ndarray]]:
    """`(about, leaves)`: the tree as JSON with the places of its leaves, and its leaves in JAX's order.

    Dicts, lists, tuples, NamedTuples and None are kept by their parts. Any other kind of node is kept by its
    name and the number of its leaves: `rebuild` then needs a tree like it.

    Raises:
        TypeError: a leaf that is no array of numbers.
    """
    leaves, structure = jax.tree.flatten(tree)
    about: dict[str, Any] = {"leaves": len(leaves)}
    try:
        about["tree"] = _skeleton(jax.tree.unflatten(structure, range(len(leaves))))
    except _UnknownNodeError as error:
        about["unknown"] = str(error)
    return about, [_array(leaf) for leaf in leaves]


def check_described(about: dict[str, Any]) -> int:
    """The number of leaves of what `describe` has described.

    Raises:
        ValueError: the tree has others.
    """
    count = about["leaves"]
    if "tree" in about and sorted(_leaf_places(about["tree"])) != list(range(count)):
        raise ValueError(f"a tree of {count} leaves names others")
    return count


def rebuild(about: dict[str, Any], leaves: list[Any], like: Any = None) -> Any:
    """The tree that was described, with these leaves; with the nodes of the tree `like`, where one is given.

    Raises:
        ValueError: a node that only `like` could rebuild, or a `like` with another number of leaves.
    """
    if like is not None:
        structure = jax.tree.structure(like)
        if structure.num_leaves != len(leaves):
            raise ValueError(
                f"like has {structure.num_leaves} leaves where {len(leaves)} were saved; it must have the "
                "structure of the parameters"
            )
        return jax.tree.unflatten(structure, leaves)
    if "unknown" in about:
        raise ValueError(
            f"the parameters hold a {about['unknown']}, which a file does not keep: give jaxgd.load the "
            "problem, or parameters of the same structure, as like="
        )
    return _tree(about["tree"], leaves)


class _UnknownNodeError(Exception):
    """A node that is kept only by its name."""


def _array(leaf: Any) -> np.ndarray:
    is_number = hasattr(leaf, "dtype") and (leaf.dtype == bool or jax.numpy.issubdtype(leaf.dtype, np.number))
    if not is_number and not isinstance(leaf, int | float | complex):
        raise TypeError(f"only numbers can be saved; the parameters hold {leaf!r}")
    return np.asarray(leaf)


def _skeleton(node: Any) -> Any:
    if node is None or type(node) is int:
        return node
    if type(node) is dict and all(isinstance(key, _KEYS) for key in node):
        return {"dict": [[key, _skeleton(child)] for key, child in node.items()]}
    if type(node) in (list, tuple):
        return {type(node).__name__: [_skeleton(child) for child in node]}
    if isinstance(node, tuple) and hasattr(node, "_fields"):
        kind = type(node)
        fields = [[name, _skeleton(child)] for name, child in zip(kind._fields, node, strict=True)]  # pyright: ignore
        return {"namedtuple": [kind.__module__, kind.__qualname__], "fields": fields}
    raise _UnknownNodeError(f"{type(node).__module__}.{type(node).__qualname__}")


def _leaf_places(skeleton: Any) -> Iterator[int]:
    """The places of leaves in a skeleton."""
    if isinstance(skeleton, int):
        yield skeleton
    elif skeleton is not None:
        pairs = skeleton.get("dict", skeleton.get("fields", []))
        for child in [child for _, child in pairs] + skeleton.get("list", skeleton.get("tuple", [])):
            yield from _leaf_places(child)


def _tree(skeleton: Any, leaves: list[Any]) -> Any:
    if skeleton is None:
        return None
    if isinstance(skeleton, int):
        return leaves[skeleton]
    if "dict" in skeleton:
        return {key: _tree(child, leaves) for key, child in skeleton["dict"]}
    if "list" in skeleton:
        return [_tree(child, leaves) for child in skeleton["list"]]
    if "tuple" in skeleton:
        return tuple(_tree(child, leaves) for child in skeleton["tuple"])
    names, children = zip(*skeleton["fields"], strict=True) if skeleton["fields"] else ((), ())
    module, name = skeleton["namedtuple"]
    return _named_tuple(module, name, names)(*(_tree(child, leaves) for child in children))


def _named_tuple(module: str, name: str, fields: tuple[str, ...]) -> Any:
    """The class of that name with those fields, if its module is loaded; else one like it.

    A file must not choose what is imported.
    """
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    is_it = isinstance(found, type) and issubclass(found, tuple) and getattr(found, "_fields", None) == fields
    made: Any = namedtuple(name.rpartition(".")[2], fields)
    return found if is_it else made
