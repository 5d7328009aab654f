"""A model of one's own with dropout, and its dropout rate as an axis of a sweep.

The rate is a leaf of the problem, as a learning rate is a leaf of the optimizer: all runs share one program.
"""

import jax
import jax.numpy as jnp
from jax.tree_util import Partial

import jaxgd


def init(key):
    first, second = jax.random.split(key)
    he_normal = jax.nn.initializers.he_normal()
    return {"w1": he_normal(first, (64, 128)), "w2": he_normal(second, (128, 10)), "b": jnp.zeros(10)}


def apply(dropout_rate, params, inputs, keys=None):
    hidden = jax.nn.relu(inputs @ params["w1"])
    if keys is not None:  # training: one key per example; evaluation: None
        keep = 1 - dropout_rate
        mask = jax.vmap(lambda key: jax.random.bernoulli(key, keep, (128,)))(keys)
        hidden = jnp.where(mask, hidden / keep, 0)
    return hidden @ params["w2"] + params["b"]


def main():
    splits = jaxgd.datasets.load("digits")

    def make_trainer(hp):
        model = jaxgd.Model(init, Partial(apply, hp.dropout_rate))
        return jaxgd.trainer(jaxgd.classification(model, *splits), jaxgd.adam(3e-3), batch_size=32)

    axes = {"dropout_rate": [0.0, 0.25, 0.5, 0.75], "seed": [0, 1, 2]}
    last = jaxgd.sweep(make_trainer, axes, epochs=10, progress=False).dataset.isel(epoch=-1)
    print(last[["train_loss", "valid_loss", "valid_accuracy"]].mean("seed").to_dataframe())


if __name__ == "__main__":
    main()
