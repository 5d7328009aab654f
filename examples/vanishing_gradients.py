"""What activation and initialisation do to the gradient of each layer: how much is left at the first one."""

import jax
import jax.numpy as jnp
import numpy as np

import jaxgd

DEPTH, WIDTH, SEEDS = 8, 64, 5
TRAIN, _, _ = jaxgd.datasets.load("digits")
CASES = {
    "sigmoid": ["glorot_normal", "he_normal"],
    "tanh": ["glorot_normal", "he_normal"],
    "relu": ["glorot_normal", "he_normal"],
}


def gradient_norms(activation, inits):
    """The norm of each layer's weight gradient before training, [init, layer], the median over the seeds."""
    sizes = [64] + [WIDTH] * DEPTH + [10]
    models = [jaxgd.mlp(sizes, activation, init) for init in inits]
    problem = jaxgd.classification(models[0], TRAIN)

    @jax.jit
    def norms(params):
        gradient = jax.grad(lambda params: problem.loss(params, problem.train).mean())(params)
        return [jnp.linalg.norm(layer["w"]) for layer in gradient]

    seeds = [jax.random.key(seed) for seed in range(SEEDS)]
    return [np.median([norms(model.init(key)) for key in seeds], axis=0) for model in models]


def main():
    print(f"{DEPTH} hidden layers of {WIDTH}, digits, median of {SEEDS} seeds: norm of the weight gradient")
    print(f"{'activation':12}{'init':16}{'first layer':>12}{'middle':>12}{'last':>12}{'first / last':>14}")
    for activation, inits in CASES.items():
        for init, norms in zip(inits, gradient_norms(activation, inits), strict=True):
            shown = "".join(f"{norms[layer]:12.1e}" for layer in (0, DEPTH // 2, DEPTH))
            print(f"{activation:12}{init:16}{shown}{norms[0] / norms[-1]:14.1e}")


if __name__ == "__main__":
    main()
