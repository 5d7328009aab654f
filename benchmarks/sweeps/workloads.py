"""The workloads of the sweep benchmark: data, axes, and what is the same for every peer."""

import itertools
from collections.abc import Callable, Container, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

# The parameters of the first run of each program, as layers.
Finals = dict[tuple[str, int], list[tuple[np.ndarray, np.ndarray]]]

MOMENTUM = 0.9
PRODUCT_SIDE, PRODUCT_TIMES = 2048, 8
PRODUCT_FLOPS = 2.0 * PRODUCT_SIDE**3 * PRODUCT_TIMES


class Workload(NamedTuple):
    """One grid of runs.

    layers: units of each layer, the inputs' first. examples: how many training examples; every batch size
    divides it. few: the part that slow peers run, see `named`. rounds: how often each peer is measured as a
    process of its own. calls: warm calls in each process.
    """

    name: str
    dataset: str
    layers: tuple[int, ...]
    examples: int
    batch_sizes: tuple[Any, ...]
    optimizers: tuple[str, ...]
    rates: tuple[float, ...]
    seeds: tuple[int, ...]
    epochs: int
    few: str = ""
    rounds: int = 1
    calls: int = 2

    @property
    def num_runs(self) -> int:
        """Runs in all."""
        return len(self.programs) * len(self.rates) * len(self.seeds)

    @property
    def programs(self) -> list[tuple[str, int]]:
        """`(optimizer, examples per batch)` of every structure that a peer writes a program for."""
        sizes = [self.examples if size == "full" else size for size in self.batch_sizes]
        return list(itertools.product(self.optimizers, sizes))

    @property
    def runs(self) -> list[tuple[float, int]]:
        """`(rate, seed)` of every run of a program, the seed varying fastest."""
        return list(itertools.product(self.rates, self.seeds))

    @property
    def flops(self) -> float:
        """Floating-point operations of the matrix products.

        For each weight and example 2 in the forward pass, 2 for the gradient of the weights, and 2 for the
        gradient of the inputs in every layer but the first.
        """
        weights = [inputs * outputs for inputs, outputs in itertools.pairwise(self.layers)]
        return 2.0 * (3 * sum(weights) - weights[0]) * self.examples * self.epochs * self.num_runs


class Data(NamedTuple):
    """What every peer is given.

    inputs: float32[examples, features]. labels: int32[examples]. orders: int32[seeds, epochs, examples].
    starts: for each seed, `(weights [in, out], biases [out])` of every layer.
    """

    inputs: np.ndarray
    labels: np.ndarray
    orders: np.ndarray
    starts: list[list[tuple[np.ndarray, np.ndarray]]]


def _rates(low: float, high: float, num: int) -> tuple[float, ...]:
    return tuple(round(float(rate), 8) for rate in np.geomspace(low, high, num))


# No rate is so high that a run diverges: jaxgd would end it early, and the work would not be the same.
WORKLOADS = {
    work.name: work
    for work in (
        Workload(
            "1",
            "digits",
            (64, 64, 10),
            1024,
            (1, 8, 32, 128, 1024),
            ("momentum",),
            _rates(1e-4, 5e-3, 8),
            (0, 1, 2, 3),
            epochs=10,
            few=":rates=1:seeds=1",
            rounds=2,
            calls=2,
        ),
        Workload(
            "2",
            "mnist5k",
            (784, 256, 10),
            4096,
            (32, 128, 512, "full"),
            ("sgd", "momentum", "adam", "nadam"),
            _rates(1e-4, 5e-3, 6),
            (0, 1, 2),
            epochs=5,
            few=":rates=1:seeds=1",
            rounds=1,
            calls=1,
        ),
        Workload(
            "3",
            "breast_cancer",
            (30, 2),
            320,
            (32,),
            ("momentum",),
            _rates(1e-4, 1e-1, 1000),
            tuple(range(10)),
            epochs=10,
            few=":rates=10",
            rounds=1,
            calls=3,
        ),
        # For the planner: a short run and many batch sizes; a long run and few; a large model and few lanes.
        Workload(
            "short",
            "digits",
            (64, 64, 10),
            1024,
            (8, 16, 32, 64, 128, 256, 512, 1024),
            ("momentum", "adam"),
            _rates(1e-4, 5e-3, 4),
            (0, 1),
            epochs=3,
        ),
        Workload(
            "long",
            "digits",
            (64, 64, 10),
            1024,
            (8, 128),
            ("momentum",),
            _rates(1e-4, 5e-3, 8),
            (0, 1, 2, 3),
            epochs=100,
        ),
        Workload(
            "large",
            "mnist5k",
            (784, 1024, 10),
            4096,
            (64, 512),
            ("adam",),
            _rates(1e-4, 2e-3, 2),
            (0,),
            epochs=3,
        ),
        # Workloads 1 and 2 with as many runs as fill a GPU, what matters most first.
        Workload(
            "gpu1",
            "digits",
            (64, 64, 10),
            1024,
            (32, 1, 1024, 8, 128),
            ("momentum",),
            _rates(1e-4, 5e-3, 64),
            tuple(range(16)),
            epochs=10,
            few=":rates=1:seeds=1",
        ),
        Workload(
            "gpu2",
            "mnist5k",
            (784, 256, 10),
            4096,
            (32, 512, "full", 128),
            ("adam", "momentum", "sgd", "nadam"),
            _rates(1e-4, 5e-3, 32),
            tuple(range(8)),
            epochs=5,
            few=":rates=1:seeds=2",
        ),
    )
}


def named(name: str) -> Workload:
    """The workload that a name says: "2", or a part of one as "2:batch_sizes=128" or "3:rates=100"."""
    first, *parts = name.split(":")
    work = WORKLOADS[first]
    for part in parts:
        field, value = part.split("=")
        if field == "batch_sizes":
            work = work._replace(batch_sizes=tuple(v if v == "full" else int(v) for v in value.split(",")))
        elif field == "optimizers":
            work = work._replace(optimizers=tuple(value.split(",")))
        elif field in ("epochs", "rounds", "calls"):
            work = work._replace(**{field: int(value)})
        else:
            work = work._replace(**{field: getattr(work, field)[: int(value)]})
    return work


def write_data(path: Path, work: Workload) -> None:
    """Write what every peer is given."""
    import jaxgd

    splits = jaxgd.datasets.load(work.dataset)
    inputs, labels = (np.concatenate(parts)[: work.examples] for parts in zip(*splits, strict=True))
    np.savez(path, **arrays_of(work, inputs, labels))


def arrays_of(work: Workload, inputs: np.ndarray, labels: np.ndarray) -> dict[str, np.ndarray]:
    """What every peer is given, as arrays. Initial parameters and epoch orders are those that jaxgd draws."""
    import jax

    from jaxgd.training.batching import epoch_orders, init_key

    keys = [jax.random.key(seed) for seed in work.seeds]
    orders = np.stack([epoch_orders(key, 0, work.epochs, work.examples, "shuffle") for key in keys])
    arrays = {"inputs": inputs.astype(np.float32), "labels": labels.astype(np.int32), "orders": orders}
    init = jax.jit(model(work.layers).init)
    for place, key in enumerate(keys):
        for depth, layer in enumerate(as_layers(init(init_key(key)))):
            arrays[f"w{place}_{depth}"], arrays[f"b{place}_{depth}"] = layer
    return arrays


def read_data(path: Path, work: Workload) -> Data:
    """What `write_data` wrote, for this part of the workload."""
    with np.load(path) as arrays:
        return data_of(work, arrays)


def data_of(work: Workload, arrays: Mapping[str, np.ndarray]) -> Data:
    """What peers are given for a workload or a part of it, from the arrays of the whole."""
    depths = range(len(work.layers) - 1)
    starts = [
        [(arrays[f"w{place}_{depth}"], arrays[f"b{place}_{depth}"]) for depth in depths]
        for place in range(len(work.seeds))
    ]
    orders = arrays["orders"][: len(work.seeds), : work.epochs]
    return Data(arrays["inputs"], arrays["labels"], orders, starts)


def model(layers: tuple[int, ...]) -> Any:
    """The jaxgd model: logistic regression of two layers of units, a perceptron of more."""
    import jaxgd

    return jaxgd.linear(*layers) if len(layers) == 2 else jaxgd.mlp(layers)


def as_layers(params: Any) -> list[tuple[np.ndarray, np.ndarray]]:
    """`(weights, biases)` of every layer of a jaxgd model's parameters."""
    layers = [params] if isinstance(params, dict) else params
    return [(np.asarray(layer["w"]), np.asarray(layer["b"])) for layer in layers]


def batches(order: np.ndarray, size: int) -> Iterator[np.ndarray]:
    """The rows of each batch of an epoch; for the full batch all rows as a slice, which copies nothing."""
    if size == len(order):
        return iter([slice(None)])
    return iter(order.reshape(-1, size))


def one_by_one(work: Workload, data: Data, one: Callable, known: Container[str] | None = None) -> Finals:
    """Every run after the other, `one(optimizer, size, rate, start, orders)`: the first of each program.

    known: the optimizers that there are; all if None.
    """
    finals = {}
    for name, size in work.programs:
        if known is None or name in known:
            results = [
                one(name, size, rate, start, orders)
                for rate in work.rates
                for start, orders in zip(data.starts, data.orders, strict=True)
            ]
            finals[name, size] = results[0]
    return finals


def final_loss(data: Data, layers: list[tuple[np.ndarray, np.ndarray]]) -> float:
    """The mean cross-entropy over the training examples, in float64."""
    values = data.inputs.astype(np.float64)
    for depth, (weights, biases) in enumerate(layers):
        values = (np.maximum(values, 0) if depth else values) @ weights + biases
    top = values.max(axis=1)
    log_sum = top + np.log(np.exp(values - top[:, None]).sum(axis=1))
    return float(np.mean(log_sum - values[np.arange(len(values)), data.labels]))


def scale(whole: Workload, part: Workload) -> float:
    """How many times the work of a part the whole is."""
    return whole.num_runs * whole.epochs / (part.num_runs * part.epochs)
