"""A loop of one's own: the optimizer is an argument of the jitted step, so a new rate compiles nothing.

The rate is halved whenever the loss has not improved for two epochs. Needs jaxgd alone, without extras.
"""

import jax
import jax.numpy as jnp

import jaxgd


def loss(params, inputs, targets):
    hidden = jnp.tanh(inputs @ params["w"])
    return jnp.mean((hidden @ params["v"] - targets) ** 2)


@jax.jit
def step(optimizer, params, state, inputs, targets):
    print("tracing the step")  # seen once, however often the rate changes
    value, gradient = jax.value_and_grad(loss)(params, inputs, targets)
    updates, state = optimizer.update(gradient, state, params)
    return value, jaxgd.apply_updates(params, updates), state


def main():
    data_key, noise_key, init_key = jax.random.split(jax.random.key(0), 3)
    inputs = jax.random.normal(data_key, (256, 4))
    targets = jnp.sin(inputs[:, 0]) * inputs[:, 1] + 0.1 * jax.random.normal(noise_key, (256,))
    params = {"w": jax.random.normal(init_key, (4, 32)) / 2, "v": jnp.zeros(32)}

    optimizer = jaxgd.adam(0.2)
    state = optimizer.init(params)
    best, waited = float("inf"), 0
    for epoch in range(60):
        for first in range(0, len(inputs), 32):
            batch = inputs[first : first + 32], targets[first : first + 32]
            _, params, state = step(optimizer, params, state, *batch)
        value = float(loss(params, inputs, targets))
        best, waited = (value, 0) if value < best else (best, waited + 1)
        if waited == 2:
            optimizer, waited = optimizer.replace(learning_rate=optimizer.learning_rate / 2), 0
            print(f"epoch {epoch + 1}: loss {value:.4f}, rate down to {float(optimizer.learning_rate):g}")
    print(f"best loss {best:.4f}")


if __name__ == "__main__":
    main()
