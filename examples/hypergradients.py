"""Tuning an optimizer by gradient descent: the gradient of a whole run by the optimizer is an optimizer.

The validation loss on digits after three epochs is differentiated by the learning rate, the momentum, the
weight decay and the decay of the rate, and all four move downhill, on the scale on which each matters: the
logarithm of the rate, of one minus the momentum, of the weight decay and of the decay rate.
"""

import jax
import jax.numpy as jnp

import jaxgd
from jaxgd.optim import add_decayed_weights, inverse_time_decay

START = {"rate": 0.003, "damping": 0.5, "weight_decay": 1e-3, "rate_decay": 1.0}
EPOCHS, BATCH_SIZE = 3, 64


def optimizer_of(logs):
    """Momentum with weight decay and a rate that falls; damping is one minus the momentum."""
    numbers = {name: jnp.exp(log) for name, log in logs.items()}
    rate = inverse_time_decay(numbers["rate"], transition_steps=17, decay_rate=numbers["rate_decay"])
    heavy_ball = jaxgd.momentum(rate, momentum=1 - numbers["damping"])
    return jaxgd.chain(add_decayed_weights(numbers["weight_decay"]), heavy_ball)


def final_loss_on(train, valid):
    """The validation loss at the end of a run, as a function of the logarithms of START's numbers."""
    problem = jaxgd.classification(jaxgd.linear(64, 10), train, valid)
    trainer = jaxgd.trainer(problem, jaxgd.sgd(0.1), BATCH_SIZE)

    def final_loss(logs):
        tuned = trainer.replace(optimizer=optimizer_of(logs))
        return jaxgd.fit(tuned, jax.random.key(0), EPOCHS).history["valid_loss"][-1]

    return final_loss


def main():
    train, valid, _ = jaxgd.datasets.load("digits")
    slopes = jax.jit(jax.value_and_grad(final_loss_on(train, valid)))
    logs = {name: jnp.log(number) for name, number in START.items()}
    tuner = jaxgd.adam(0.2)
    state = tuner.init(logs)
    for trial in range(17):
        loss, gradient = slopes(logs)
        if trial % 4 == 0:
            shown = ", ".join(f"{name} {jnp.exp(logs[name]):.2g}" for name in START)
            print(f"trial {trial:2d}: validation loss {loss:.4f} at {shown}")
        updates, state = tuner.update(gradient, state, logs)
        logs = jaxgd.apply_updates(logs, updates)


if __name__ == "__main__":
    main()
