"""Mixed precision: a model that computes in a narrow dtype on parameters kept in float32."""

from typing import Any

import jax
import jax.numpy as jnp

from jaxgd.pytrees import Static
from jaxgd.training.models.model import Model, asking, check_stateless


def mixed_precision(model: Model, dtype: Any = "bfloat16") -> Model:
    """The model that computes in `dtype` and keeps its parameters, gradients and outputs as they were.

    `apply` casts parameters and floating-point inputs to `dtype`, and its outputs to float32; the loss,
    the optimizer and its state stay in full precision (Micikevicius et al., 2018). bfloat16 has the range of
    float32, so the loss needs no scaling; float16 has not, and is refused.

    Args:
        model: any model.
        dtype: "bfloat16" or "float32".

    Raises:
        ValueError: another dtype, a model with a state.
    """
    check_stateless("mixed_precision", model)
    if jnp.dtype(dtype) not in (jnp.dtype("bfloat16"), jnp.dtype("float32")):
        raise ValueError(f"dtype must be bfloat16 or float32, got {dtype}")
    apply = jax.tree_util.Partial(_apply, model.apply, Static(jnp.dtype(dtype)))
    return model.replace(apply=asking(apply, ["keys"] if model.apply.asks("keys") else []))


def _apply(apply, dtype, params, inputs, keys=None):
    params, inputs = _cast(params, dtype.value), _cast(inputs, dtype.value)
    return _cast(apply(params, inputs, keys=keys), jnp.float32)


def _cast(tree, dtype):
    def cast(leaf):
        return leaf.astype(dtype) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf

    return jax.tree.map(cast, tree)
