"""Frozen dataclasses whose fields are all pytree children."""

import dataclasses
from typing import Any, ClassVar, Self, dataclass_transform

import jax

from jaxgd.pytrees import as_static


@dataclass_transform(frozen_default=True)
class PyTree:
    """Base of frozen dataclasses that are pytrees: numbers and arrays in their fields are leaves.

    What is structure is wrapped in `Static`. Building an object checks it; passing one through a tree map
    does not, since there its leaves may be anything.
    """

    _keys: ClassVar[dict[str, Any]]

    def __init_subclass__(cls):
        dataclasses.dataclass(frozen=True, repr=False, eq=False)(cls)
        names = [field.name for field in dataclasses.fields(cls)]  # pyright: ignore[reportArgumentType]
        cls._keys = {name: jax.tree_util.GetAttrKey(name) for name in names}
        jax.tree_util.register_pytree_with_keys_class(cls)

    def tree_flatten_with_keys(self):
        """The fields as children under their names."""
        return tuple((key, getattr(self, name)) for name, key in self._keys.items()), None

    def tree_flatten(self):
        """The fields as children."""
        return tuple([getattr(self, name) for name in self._keys]), None

    @classmethod
    def tree_unflatten(cls, aux, children):
        """The object with these fields, unchecked."""
        self = object.__new__(cls)
        for name, child in zip(cls._keys, children, strict=True):
            object.__setattr__(self, name, child)
        return self

    def replace(self, **changes: Any) -> Self:
        """A copy with some fields changed, checked as when it was built."""
        return dataclasses.replace(self, **changes)  # pyright: ignore[reportArgumentType]


def as_function(function: Any) -> Any:
    """`function` as a pytree: one that has leaves of its own stays, any other becomes structure."""
    return function if isinstance(function, PyTree) else as_static(function)
