"""A training function of one's own at many points: by `sweep_function`, beside what JAX does with it alone.

    python benchmarks/functions.py --turns 5

Prints a Markdown table. Each side is a process of its own, and sides take turns: cold is from before JAX is
read in until the numbers are there, with nothing compiled; warm is the best of three more calls.
"""

import argparse
import functools
import json
import os
import statistics
import subprocess
import sys
import time

SIDES = {
    "sweep_function": "jaxgd.sweep_function",
    "vmap": "`jax.jit(jax.vmap)` for each batch size",
    "loop": "`jax.jit` for each batch size, one run after the other",
}
SIZES, SEEDS, EPOCHS = (16, 64, 256), 4, 10


def side(name: str) -> dict[str, float]:
    """Seconds of a side, cold and warm, and the sum of all its losses."""
    began = time.perf_counter()
    import jax

    jax.config.update("jax_num_cpu_devices", os.cpu_count())
    import numpy as np

    call = _calls()[name]
    losses, warm = call(), []
    cold = time.perf_counter() - began
    for _ in range(3):
        begun = time.perf_counter()
        losses = call()
        warm.append(time.perf_counter() - begun)
    return {"cold": cold, "warm": min(warm), "losses": float(np.mean(losses))}


def _calls():
    """What each side does: the losses of all runs, [batch size, rate, seed, epoch]."""
    import jax
    import jax.numpy as jnp
    import numpy as np
    import optax

    import jaxgd

    (inputs, labels), _, _ = jaxgd.datasets.load("digits")
    data = jnp.asarray(inputs[:1024]), jnp.asarray(labels[:1024])
    model = jaxgd.mlp([64, 64, 10])
    rates = np.geomspace(1e-4, 1e-2, 16)

    def train(key, learning_rate, batch_size):
        optimizer = optax.adam(learning_rate)

        def loss(params, inputs, labels):
            losses = optax.softmax_cross_entropy_with_integer_labels(model.apply(params, inputs), labels)
            return losses.mean()

        def epoch(carry, key):
            def step(carry, rows):
                params, state = carry
                value, grads = jax.value_and_grad(loss)(params, data[0][rows], data[1][rows])
                updates, state = optimizer.update(grads, state, params)
                return (optax.apply_updates(params, updates), state), value

            carry, losses = jax.lax.scan(
                step, carry, jax.random.permutation(key, 1024).reshape(-1, batch_size)
            )
            return carry, losses.mean()

        first, orders = jax.random.split(key)
        params = model.init(first)
        carry = params, optimizer.init(params)
        (params, _), losses = jax.lax.scan(epoch, carry, jax.random.split(orders, EPOCHS))
        return {"loss": losses, "params": params}

    def swept():
        axes = {"batch_size": list(SIZES), "learning_rate": rates.tolist(), "seed": list(range(SEEDS))}
        return jaxgd.sweep_function(train, axes, progress=False).dataset.loss.values

    keys = jnp.stack([jax.random.key(seed) for seed in range(SEEDS)])
    runs = [functools.partial(train, batch_size=size) for size in SIZES]
    alone = [jax.jit(run) for run in runs]
    mapped = [jax.jit(jax.vmap(jax.vmap(run, (0, None)), (None, 0))) for run in runs]

    def one_by_one():
        return np.array(
            [
                [[np.asarray(run(key, rate)["loss"]) for key in keys] for rate in rates.astype(np.float32)]
                for run in alone
            ]
        )

    def at_once():
        return np.array([np.asarray(run(keys, rates.astype(np.float32))["loss"]) for run in mapped])

    return {"sweep_function": swept, "vmap": at_once, "loop": one_by_one}


def main() -> None:
    """Print the table, or what one side took."""
    parser = argparse.ArgumentParser(description="a training function of one's own as a sweep")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--side", choices=SIDES)
    arguments = parser.parse_args()
    if arguments.side:
        print(json.dumps(side(arguments.side)))
        return
    found = {name: [] for name in SIDES}
    for turn in range(arguments.turns):
        for name in SIDES if turn % 2 else reversed(SIDES):
            command = [sys.executable, __file__, "--side", name]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            found[name].append(json.loads(done.stdout))
    print(f"{len(SIZES) * 16 * SEEDS} runs, medians of {arguments.turns} turns\n")
    print("| | cold, s | times jaxgd | warm, s | times jaxgd | mean loss |\n|---|---|---|---|---|---|")
    for name, text in SIDES.items():
        row = [text]
        for when in ("cold", "warm"):
            seconds = [each[when] for each in found[name]]
            ratios = [a / b[when] for a, b in zip(seconds, found["sweep_function"], strict=True)]
            low, middle, high = min(ratios), statistics.median(ratios), max(ratios)
            row += [f"{statistics.median(seconds):.3g}", f"{middle:.2f} ({low:.2f} to {high:.2f})"]
        print("|", " | ".join([*row, f"{found[name][0]['losses']:.6f}"]), "|")


if __name__ == "__main__":
    main()
