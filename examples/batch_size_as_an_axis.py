"""Batch size as an axis of vmap: seven batch sizes train in one compiled program.

Each lane starts from the same parameters, sees the same examples in the same order, and makes exactly the
updates that its batch size makes alone.
"""

import jax
import jax.numpy as jnp

import jaxgd


def main():
    train, valid, test = jaxgd.datasets.load("breast_cancer")
    problem = jaxgd.classification(jaxgd.linear(30, 2), train, valid, test)

    @jax.jit
    @jax.vmap
    def run(batch_size):
        trainer = jaxgd.trainer(problem, jaxgd.momentum(0.01), batch_size, microbatch=8)
        return jaxgd.fit(trainer, jax.random.key(0), epochs=3)

    batch_sizes = jnp.array([1, 3, 8, 20, 64, 200, problem.num_examples])
    history = run(batch_sizes).history
    print("batch size   updates   validation loss after epochs 1, 2, 3")
    for lane, batch_size in enumerate(batch_sizes):
        losses = "  ".join(f"{loss:.4f}" for loss in history["valid_loss"][lane])
        print(f"{batch_size:10d} {history['updates'][lane, -1]:9d}   {losses}")


if __name__ == "__main__":
    main()
