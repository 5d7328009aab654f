"""A small causal transformer for sequences of characters."""

import functools

import jax
import jax.numpy as jnp

from jaxgd.aliases import WholeNumber
from jaxgd.arguments import whole_numbers
from jaxgd.training.models.model import INITIALIZERS, Model
from jaxgd.training.models.networks import dense


def char_transformer(
    num_characters: WholeNumber,
    length: WholeNumber,
    width: WholeNumber = 64,
    num_blocks: WholeNumber = 2,
    num_heads: WholeNumber = 4,
) -> Model:
    """A causal transformer: of `int[batch, length]` the logits of what comes next, `[..., num_characters]`.

    Blocks of attention and a two-layer perceptron, each after a layer normalisation and added to its input;
    learned positions; logits by the transposed embedding.

    Example:
        >>> train, valid, test = jaxgd.datasets.load_characters(length=64)
        >>> model = jaxgd.char_transformer(len(jaxgd.datasets.CHARACTERS), length=64)
        >>> problem = jaxgd.classification(model, train, valid, test)

    Args:
        num_characters: how many different ones there are.
        length: characters of a window at most.
        width: numbers that stand for a character, a multiple of `num_heads`.
        num_blocks: blocks, one after the other.
        num_heads: heads of each attention.

    Raises:
        ValueError: a size below 1, a width that is no multiple of `num_heads`.
    """
    num_characters, length, width, num_blocks, num_heads = whole_numbers(
        num_characters=num_characters,
        length=length,
        width=width,
        num_blocks=num_blocks,
        num_heads=num_heads,
    )
    if width % num_heads:
        raise ValueError(f"width must be a multiple of num_heads, got {width} and {num_heads}")
    init = functools.partial(_init, num_characters, length, width, num_blocks)
    return Model(init, functools.partial(_apply, num_heads), coupled=False)


def _init(num_characters, length, width, num_blocks, key):
    keys = jax.random.split(key, 2 + num_blocks)
    embedding = 0.02 * jax.random.normal(keys[0], (num_characters, width))
    positions = 0.02 * jax.random.normal(keys[1], (length, width))
    blocks = [_init_block(width, key) for key in keys[2:]]
    return {"embedding": embedding, "positions": positions, "blocks": blocks, "scale": jnp.ones(width)}


def _init_block(width, key):
    shapes = {
        "qkv": (width, 3 * width),
        "out": (width, width),
        "up": (width, 4 * width),
        "down": (4 * width, width),
    }
    keys = jax.random.split(key, len(shapes))
    layers = {
        name: {"w": INITIALIZERS["glorot_normal"](key, shape), "b": jnp.zeros(shape[1])}
        for key, (name, shape) in zip(keys, shapes.items(), strict=True)
    }
    return layers | {"attention_scale": jnp.ones(width), "perceptron_scale": jnp.ones(width)}


def _apply(num_heads, params, inputs):
    x = params["embedding"][inputs] + params["positions"][: inputs.shape[1]][None]
    for block in params["blocks"]:
        x = x + _attention(num_heads, block, _normalised(x, block["attention_scale"]))
        hidden = jax.nn.gelu(dense(block["up"], _normalised(x, block["perceptron_scale"])))
        x = x + dense(block["down"], hidden)
    return _normalised(x, params["scale"]) @ params["embedding"].T


def _normalised(x, scale):
    return jax.nn.standardize(x) * jax.lax.broadcast_to_rank(scale, x.ndim)


def _attention(num_heads, block, x):
    heads = dense(block["qkv"], x).reshape(*x.shape[:2], 3, num_heads, -1)
    mixed = jax.nn.dot_product_attention(heads[:, :, 0], heads[:, :, 1], heads[:, :, 2], is_causal=True)
    return dense(block["out"], mixed.reshape(x.shape))
