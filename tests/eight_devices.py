"""What scripts begin with that compare one device with eight: devices, float64, problems, collectives.

Tests run it before their own lines, in a process of its own.
"""

import re

import jax
import numpy as np

import jaxgd

jax.config.update("jax_num_cpu_devices", 8)
jax.config.update("jax_enable_x64", True)
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_numpy_dtype_promotion", "strict")

rng = np.random.default_rng(0)
x = rng.normal(size=(100, 6))
y = (x[:, 0] > x[:, 1]).astype(int)
train, valid = (x, y), (x[:30], y[:30])
mlp = jaxgd.classification(jaxgd.mlp([6, 8, 2]), train, valid)
dropout = jaxgd.classification(jaxgd.mlp([6, 8, 2], dropout=0.3), train, valid)
network = jaxgd.mlp([6, 8, 1])


def squares(params, batch):
    """Losses with a weight for each example."""
    return (network.apply(params, batch[0])[:, 0] - batch[0][:, 1]) ** 2, batch[0][:, 0] ** 2


weighted = jaxgd.Problem(network.init, squares, train)


def collectives(text):
    """The kind and the devices of each operation between devices in a compiled text."""
    kinds = "all-reduce|all-gather|all-to-all|collective-permute|reduce-scatter|collective-broadcast"
    lines = [line for line in text.splitlines() if re.search(f" ({kinds})(-start)?[(]", line)]
    groups = "replica_groups=(.*?), use_global"
    return [[re.search(f" ({kinds})", line)[1], re.search(groups, line)[1]] for line in lines]
