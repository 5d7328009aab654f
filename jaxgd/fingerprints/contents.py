"""The SHA-256 of arrays."""

import hashlib
from collections.abc import Iterable
from typing import Any

import jax
import numpy as np


def sha256_of(trees: Iterable[Any]) -> str:
    """The SHA-256 of the leaves of trees, as hexadecimal digits: shapes, dtypes and contents, in order."""
    digest = hashlib.sha256()
    for tree in trees:
        for leaf in jax.tree.leaves(tree):
            array = np.asarray(leaf)
            digest.update(f"{array.shape} {array.dtype}".encode())
            digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()
