"""Tuning an optimizer by gradient descent: the gradient of a whole run by the optimizer is an optimizer.

The validation loss after three epochs is differentiated by the learning rate and the momentum, and both move
downhill, on the scales on which they matter: log(rate) and log(1 - momentum).
"""

import jax
import jax.numpy as jnp

import jaxgd


def main():
    train, valid, _ = jaxgd.datasets.load("diabetes")
    problem = jaxgd.regression(jaxgd.linear(10, 1), train, valid)
    trainer = jaxgd.trainer(problem, jaxgd.momentum(1e-3, momentum=0.5), batch_size=32)

    @jax.jit
    @jax.value_and_grad
    def final_loss(logs):
        optimizer = jaxgd.momentum(jnp.exp(logs["rate"]), momentum=1 - jnp.exp(logs["damping"]))
        history = jaxgd.fit(trainer.replace(optimizer=optimizer), jax.random.key(0), epochs=3).history
        return history["valid_loss"][-1]

    logs = {"rate": jnp.log(1e-3), "damping": jnp.log(0.5)}
    tuner = jaxgd.adam(0.2)
    state = tuner.init(logs)
    for trial in range(21):
        loss, gradient = final_loss(logs)
        if trial % 4 == 0:
            rate, momentum = jnp.exp(logs["rate"]), 1 - jnp.exp(logs["damping"])
            print(f"trial {trial:2d}: rate {rate:.4f}, momentum {momentum:.3f}, validation loss {loss:.4f}")
        updates, state = tuner.update(gradient, state, logs)
        logs = jaxgd.apply_updates(logs, updates)


if __name__ == "__main__":
    main()
