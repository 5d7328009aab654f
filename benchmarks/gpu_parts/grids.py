"""A small grid of runs whose initial parameters are the same numbers in every dtype and on every device."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxgd

LAYERS, SMALL_LAYERS = (64, 64, 10), (64, 10)
EXAMPLES, VALID = 512, 64
OPTIMIZERS = {"momentum": jaxgd.momentum, "adam": jaxgd.adam}
RATES, SEEDS = (0.001, 0.003, 0.01, 0.03), (0, 1)
Maker = Callable[[Any], jaxgd.Trainer]


def maker(small: bool, dtype: Any = np.float32, batch_size: Any = None) -> Maker:
    """`make_trainer` of the grid, of data in this dtype; with a batch size where that is no axis."""
    random, layers = np.random.default_rng(0), SMALL_LAYERS if small else LAYERS
    sampling = "replacement" if small else "shuffle"  # which takes long to compile
    inputs = random.normal(size=(EXAMPLES + VALID, layers[0])).astype(np.float32).astype(dtype)
    labels = np.argmax(inputs @ random.normal(size=(layers[0], layers[-1])), axis=1).astype(np.int32)
    model = jaxgd.Model(_init(layers, dtype), jaxgd.mlp(list(layers)).apply)
    problem = jaxgd.classification(
        model, (inputs[:EXAMPLES], labels[:EXAMPLES]), (inputs[EXAMPLES:], labels[EXAMPLES:])
    )

    def make_trainer(point):
        optimizer = OPTIMIZERS[point.get("optimizer", "momentum")](point["learning_rate"])
        return jaxgd.trainer(problem, optimizer, point.get("batch_size", batch_size), sampling=sampling)

    return make_trainer


def _init(layers: Sequence[int], dtype: Any) -> Callable[[jax.Array], list[dict[str, jax.Array]]]:
    """Weights from whole numbers that the key is scattered into: nothing about them is rounded."""

    def init(key):
        return [
            {"w": scattered(key, place, shape).astype(dtype), "b": jnp.zeros(shape[1], dtype)}
            for place, shape in enumerate(itertools.pairwise(layers))
        ]

    return init


def scattered(key: jax.Array, place: int, shape: tuple[int, int]) -> jax.Array:
    """Numbers from -1/4 to 1/4 in steps of 2**-25; a product of a prime and two shifts, quick to compile."""
    bits = (
        jnp.arange(shape[0] * shape[1], dtype=jnp.uint32) + jax.random.key_data(key)[-1] + jnp.uint32(place)
    )
    for multiplier, shift in ((2654435761, 15), (2246822519, 13)):
        bits = bits * jnp.uint32(multiplier)
        bits = bits ^ (bits >> jnp.uint32(shift))
    return ((bits >> jnp.uint32(8)).astype(jnp.float32) * 2.0**-25 - 0.25).reshape(shape)


def sweep(make_trainer: Maker, axes: Mapping[str, Any], epochs: int, plan: Any = None, **options: Any) -> Any:
    """The result of a sweep without a clock or a bar."""
    return jaxgd.sweep(make_trainer, axes, epochs, plan=plan, **{"progress": False, "clock": False} | options)


def kind_of(small: bool) -> dict[str, Any]:
    """Options of a plan: at once in the small form, as a GPU's planner chooses by itself."""
    return {"kind": "vmap"} if small else {}


def numbers_of(result: Any) -> dict[str, np.ndarray]:
    """What a sweep computed: floats that were measured, by name, and parameters; the grid's axes first."""
    measured = {str(name): np.asarray(column) for name, column in result.dataset.items()}
    floats = {name: column for name, column in measured.items() if column.dtype.kind == "f"}
    shape = result.dataset.status.shape
    runs = [jax.tree.leaves(params_at(result, place)) for place in np.ndindex(shape)]
    stacked = [np.stack(leaf) for leaf in zip(*runs, strict=True)]
    leaves = {f"parameters {i}": leaf.reshape(shape + leaf.shape[1:]) for i, leaf in enumerate(stacked)}
    return floats | leaves


def params_at(result: Any, place: tuple[int, ...]) -> Any:
    """The parameters of the run at a place of the grid."""
    dims = result.dataset.status.dims
    point = {dim: result.dataset[dim].values[index] for dim, index in zip(dims, place, strict=True)}
    return result.params(**point)


def distance(found: Mapping[str, np.ndarray], truth: Mapping[str, np.ndarray]) -> float:
    """The largest difference of two sweeps' numbers, relative to the largest of each kind."""
    pairs = [(np.asarray(found[name], np.float64), np.asarray(truth[name], np.float64)) for name in truth]
    return max(float(np.nanmax(np.abs(a - b)) / np.nanmax(np.abs(b))) for a, b in pairs)
