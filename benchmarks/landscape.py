"""Measure landscapes as whole processes, cold, each beside a plain loop that does the same.

    python benchmarks/landscape.py [--repeats 3] [--cases plane]

Prints a Markdown table: medians of processes that take turns, everything included (start of Python, imports,
data, compilation). A process that is cold has no cache of compiled programs.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

SIDE = 41


def network() -> tuple:
    """An mlp 64-64-10 on digits' first 1,437 examples, and parameters such as a file would hold."""
    import numpy as np

    import jaxgd

    train, valid, _ = jaxgd.datasets.load("digits")
    data = tuple(np.concatenate(pair)[:1437] for pair in zip(train, valid, strict=True))
    problem = jaxgd.classification(jaxgd.mlp([64, 64, 10]), data)
    return problem, data, weights(0)


def weights(seed: int):
    """Random weights of such a network, of the size that training makes them."""
    import numpy as np

    rng = np.random.default_rng(seed)
    shapes = [{"w": (64, 64), "b": (64,)}, {"w": (64, 10), "b": (10,)}]
    draw = lambda shape: (rng.normal(size=shape) / 8).astype(np.float32)  # noqa: E731
    return [{name: draw(shape) for name, shape in layer.items()} for layer in shapes]


def plane() -> float:
    """A 41 x 41 plane in random filter-normalised directions; its greatest loss."""
    import jax
    import numpy as np

    import jaxgd

    problem, _, params = network()
    directions = jaxgd.landscape.random_directions(problem, params, jax.random.key(0))
    return float(np.max(jaxgd.landscape.plane(problem, params, directions).losses))


def plane_loop() -> float:
    """The same plane, a jitted loss called at each point; its greatest loss."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    _, (inputs, labels), params = network()
    directions = [
        jax.tree.map(
            lambda d, p: d * np.linalg.norm(p, axis=0) / np.linalg.norm(d, axis=0), weights(k), params
        )
        for k in (1, 2)
    ]

    @jax.jit
    def loss(params):
        hidden = jax.nn.relu(inputs @ params[0]["w"] + params[0]["b"])
        logits = hidden @ params[1]["w"] + params[1]["b"]
        return -jnp.mean(jax.nn.log_softmax(logits)[jnp.arange(len(labels)), labels])

    steps = np.linspace(-1, 1, SIDE, dtype=np.float32)
    at = lambda a, b: jax.tree.map(lambda p, x, y: p + a * x + b * y, params, *directions)  # noqa: E731
    return max(float(loss(at(a, b))) for a in steps for b in steps)


PATHS, UPDATES = 10_000, 500
RATES = {
    "sgd": 0.01,
    "momentum": 0.002,
    "nesterov": 0.005,
    "adagrad": 1.0,
    "rmsprop": 0.02,
    "adadelta": 5.0,
    "adam": 0.5,
    "nadam": 0.2,
}


def path_starts(num: int):
    """The same starts for both sides, in the domain of Himmelblau's function."""
    import numpy as np

    return np.random.default_rng(0).uniform(-5, 5, (num, 2)).astype(np.float32)


def paths() -> float:
    """10,000 paths of 500 updates on Himmelblau's function, an eighth by each optimizer; their mean loss."""
    import jax

    jax.config.update("jax_num_cpu_devices", os.cpu_count())
    import jaxgd

    cases = {name: [getattr(jaxgd, name)(rate)] for name, rate in RATES.items()}
    starts = path_starts(PATHS // len(RATES))
    found = jaxgd.landscape.explore(jaxgd.landscape.surface("himmelblau"), cases, starts, UPDATES)
    return float(found.loss[..., -1].mean())


def paths_loop() -> float:
    """The same paths: for each optimizer of Optax a jitted update of all its starts in a Python loop."""
    import jax
    import numpy as np
    import optax

    def himmelblau(p):
        return (p[0] ** 2 + p[1] - 11) ** 2 + (p[0] + p[1] ** 2 - 7) ** 2

    makers = {name: getattr(optax, name) for name in RATES if hasattr(optax, name)}
    makers["momentum"] = lambda rate: optax.sgd(rate, 0.9)
    makers["nesterov"] = lambda rate: optax.sgd(rate, 0.9, nesterov=True)
    last = []
    for name, rate in RATES.items():
        optimizer = makers[name](rate)

        def update(point, state, optimizer=optimizer):
            steps, state = optimizer.update(jax.grad(himmelblau)(point), state, point)
            return optax.apply_updates(point, steps), state

        step, points = jax.jit(jax.vmap(update)), path_starts(PATHS // len(RATES))
        state, kept = jax.vmap(optimizer.init)(points), [points]
        for _ in range(UPDATES):
            points, state = step(points, state)
            kept.append(points)
        whole = np.stack(kept)
        last.append(np.asarray(jax.vmap(himmelblau)(whole[-1])))
    return float(np.mean(last))


# What is measured: a title, jaxgd's way, and the plain loop.
CASES: dict[str, tuple[str, Callable, Callable]] = {
    "paths": ("10,000 paths of 500 updates, 8 optimizers, Himmelblau", paths, paths_loop),
    "plane": ("41 x 41 plane, mlp 64-64-10, 1,437 examples", plane, plane_loop),
}


def main() -> None:
    """Print the table, or run one side of one case."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3, help="processes of each, in turn")
    parser.add_argument("--cases", default=",".join(CASES), help="which of them")
    parser.add_argument("--run", nargs=2, metavar=("CASE", "SIDE"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.run:
        case, side = arguments.run
        print(CASES[case][int(side)]())
        return
    print(f"{os.cpu_count()} cores, seconds of a whole process\n\n| | jaxgd | plain loop |\n|---|---|---|")
    for case in arguments.cases.split(","):
        medians = [f"{seconds:.1f}" for seconds in measure(case, arguments.repeats)]
        print(f"| {CASES[case][0]} | {' | '.join(medians)} |", flush=True)


def measure(case: str, repeats: int) -> list[float]:
    """The median seconds of jaxgd's process and of the plain loop's."""
    taken: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(repeats):
        for side, seconds in taken.items():
            begun = time.perf_counter()
            command = [sys.executable, __file__, "--run", case, str(side)]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            seconds.append(time.perf_counter() - begun)
    return [statistics.median(seconds) for seconds in taken.values()]


if __name__ == "__main__":
    main()
