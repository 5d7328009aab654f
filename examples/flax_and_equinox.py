"""The same optimizers in Flax (Linen and NNX) and in Equinox."""

import equinox as eqx
import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from flax import nnx
from flax.training.train_state import TrainState

import jaxgd

TRAIN, _, TEST = jaxgd.datasets.load("breast_cancer")
OPTIMIZER = optax.chain(optax.clip_by_global_norm(1.0), jaxgd.adam(1e-2))


def cross_entropy(logits, labels):
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()


def accuracy(logits):
    return float((jnp.argmax(logits, axis=1) == TEST[1]).mean())


def with_linen():
    model = nn.Dense(2)
    params = model.init(jax.random.key(0), TRAIN[0])
    state = TrainState.create(apply_fn=model.apply, params=params, tx=OPTIMIZER)

    @jax.jit
    def step(state):
        gradient = jax.grad(lambda p: cross_entropy(state.apply_fn(p, TRAIN[0]), TRAIN[1]))(state.params)
        return state.apply_gradients(grads=gradient)

    for _ in range(50):
        state = step(state)
    return accuracy(model.apply(state.params, TEST[0]))


def with_nnx():
    model = nnx.Linear(30, 2, rngs=nnx.Rngs(0))
    optimizer = nnx.Optimizer(model, jaxgd.adam(1e-2), wrt=nnx.Param)

    @nnx.jit
    def step(model, optimizer):
        gradient = nnx.grad(lambda m: cross_entropy(m(TRAIN[0]), TRAIN[1]))(model)
        optimizer.update(model, gradient)

    for _ in range(50):
        step(model, optimizer)
    return accuracy(model(TEST[0]))


def with_equinox():
    model = eqx.nn.Linear(30, 2, key=jax.random.key(0))
    state = OPTIMIZER.init(eqx.filter(model, eqx.is_array))

    @eqx.filter_jit
    def step(model, state):
        gradient = eqx.filter_grad(lambda m: cross_entropy(jax.vmap(m)(TRAIN[0]), TRAIN[1]))(model)
        updates, state = OPTIMIZER.update(gradient, state, model)
        return eqx.apply_updates(model, updates), state

    for _ in range(50):
        model, state = step(model, state)
    return accuracy(jax.vmap(model)(TEST[0]))


def main():
    for run in (with_linen, with_nnx, with_equinox):
        print(f"{run.__name__}: test accuracy {run():.3f}")


if __name__ == "__main__":
    main()
