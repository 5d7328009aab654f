"""A scan written with Optax becomes a sweep over learning rates, batch sizes and seeds in nine changed lines.

Both versions stand here: `train_once`, as it was, and `train`, with the lines that changed numbered. All runs
are lanes of one program, since the learning rate and the batch size are numbers to it.
"""

import jax
import jax.numpy as jnp
import optax

import jaxgd

SPLITS = jaxgd.datasets.load("digits")
INPUTS, LABELS = (jnp.asarray(array) for array in SPLITS.train)
VALID_INPUTS, VALID_LABELS = (jnp.asarray(array) for array in SPLITS.valid)
EPOCHS, NUM = 5, len(INPUTS)


def init(key):
    first, second = jax.random.split(key)
    return {"w": jax.random.normal(first, (64, 32)) / 8, "v": jax.random.normal(second, (32, 10)) / 6}


def losses_of(params, inputs, labels):
    logits = jnp.tanh(inputs @ params["w"]) @ params["v"]
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels)


def accuracy(params):
    logits = jnp.tanh(VALID_INPUTS @ params["w"]) @ params["v"]
    return jnp.mean(jnp.argmax(logits, axis=-1) == VALID_LABELS)


def train_once(key, learning_rate=0.01, batch_size=32):
    """One run, as it was: a scan over epochs, in it one over batches."""
    optimizer = optax.adam(learning_rate)
    params = init(key)

    def epoch(carry, number):
        order = jax.random.permutation(jax.random.fold_in(key, number), NUM)

        def step(carry, batch):
            params, state = carry
            rows = jax.lax.dynamic_slice(order, (batch * batch_size,), (batch_size,))
            data = INPUTS[rows], LABELS[rows]
            loss = lambda params: jnp.mean(losses_of(params, *data))  # noqa: E731
            updates, state = optimizer.update(jax.grad(loss)(params), state, params)
            return (optax.apply_updates(params, updates), state), None

        (params, state), _ = jax.lax.scan(step, carry, jnp.arange(NUM // batch_size))
        return (params, state), accuracy(params)

    (params, _), scores = jax.lax.scan(epoch, (params, optimizer.init(params)), jnp.arange(EPOCHS))
    return params, scores


def train(key, learning_rate, batch_size):  # 1: the batch size may be traced
    """One run of a sweep."""
    optimizer = optax.adam(learning_rate)
    params = init(key)

    def epoch(carry, number):
        order = jaxgd.datasets.epoch_order(key, NUM, number)  # 2: the order that jaxgd.fit has

        def step(batch, carry):  # 3: a loop's step in place of a scan's
            params, state = carry
            place = order, batch * batch_size, batch_size  # 4
            data, mask = jaxgd.datasets.take_batch((INPUTS, LABELS), *place, capacity=128)  # 5: padded
            loss = lambda params: jnp.mean(losses_of(params, *data), where=mask)  # noqa: E731  # 6: masked
            updates, state = optimizer.update(jax.grad(loss)(params), state, params)
            return optax.apply_updates(params, updates), state  # 7

        params, state = jax.lax.fori_loop(0, NUM // batch_size, step, carry)  # 8: so many batches
        return (params, state), accuracy(params)

    (params, _), scores = jax.lax.scan(epoch, (params, optimizer.init(params)), jnp.arange(EPOCHS))
    return {"valid_accuracy": scores, "params": params}  # 9: by name


def main():
    _, scores = jax.jit(train_once)(jax.random.key(0))
    print(f"one run, by hand: validation accuracy {scores[-1]:.3f}")
    axes = {"learning_rate": [0.001, 0.003, 0.01, 0.03], "batch_size": [16, 32, 128], "seed": [0, 1, 2]}
    result = jaxgd.sweep_function(train, axes, progress=False)
    print(result.plan)
    print(result.dataset.valid_accuracy.isel(epoch=-1).mean("seed").round(3).to_pandas())
    print(result.best("valid_accuracy"))


if __name__ == "__main__":
    main()
