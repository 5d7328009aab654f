"""A sweep whose functions workers can import; and units that go wrong."""

import os
import signal
import threading
import warnings
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

import jaxgd

TRAIN, VALID, _ = jaxgd.datasets.load("digits")
AXES = {"batch_size": [64, 256], "learning_rate": [0.01, 0.1, 0.5, 1e30], "seed": [0, 1, 2]}
EPOCHS = 2
PROBLEM = jaxgd.classification(jaxgd.mlp([64, 8, 10]), TRAIN, VALID)
# Files: one says that a worker has been killed, or is not to fail any more; one what workers compiled.
MARK, COMPILED = "JAXGD_TEST_MARK", "JAXGD_TEST_COMPILED"


def note_compiled():
    """Have a line in a file for each training program: whether it was compiled, or found on disk."""
    found, prefix = threading.local(), "/jax/compilation_cache/cache_"

    def note_event(name, **about):
        if name.startswith(prefix):
            found.how = name.removeprefix(prefix)

    def note_program(name, seconds, **about):
        if name.endswith("backend_compile_duration") and about.get("fun_name") == "jit(on_device)":
            with open(os.environ[COMPILED], "a") as file:
                file.write(f"{found.how}\n")

    jax.monitoring.register_event_listener(note_event)
    jax.monitoring.register_event_duration_secs_listener(note_program)


if COMPILED in os.environ:  # a worker
    note_compiled()


def train(make_trainer, **options):
    return jaxgd.sweep(make_trainer, AXES, EPOCHS, progress=False, **options)


def here(result, make_trainer):
    """The sweep of a result in this process, by its plan, which one device of this machine follows."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "the plan was made on 1 x cpu")
        return train(make_trainer, plan=result.plan)


def same(one, other):
    """Every number of two results has the same bits."""
    for name in other.dataset.variables:
        np.testing.assert_array_equal(one.dataset[name].values, other.dataset[name].values)
    for left, right in zip(one.states, other.states, strict=True):
        for a, b in zip(jax.tree.leaves(left), jax.tree.leaves(right), strict=True):
            np.testing.assert_array_equal(a, b)


def make(hp):
    return jaxgd.trainer(PROBLEM, jaxgd.momentum(hp.learning_rate), hp.batch_size)


class Gate:
    """A loss that has its process killed, or raises, in a worker that traces it; never in its owner."""

    def __init__(self, how, owner):
        self.how, self.owner = how, owner

    def __call__(self, params, batch):
        if os.getpid() != self.owner:
            mark = Path(os.environ.get(MARK, "mark"))
            if self.how == "raise":
                raise RuntimeError("a cosmic ray")
            if self.how == "once" and not mark.exists():
                mark.touch()
                raise RuntimeError("a cosmic ray")
            if self.how == "kill" and not mark.exists():
                mark.touch()
                os.kill(os.getpid(), signal.SIGKILL)
        inputs, labels = batch
        logits = inputs @ params
        return jnp.sum((logits - jnp.eye(10)[labels]) ** 2, axis=1)


def zeros(key):
    return jnp.zeros((64, 10))


def gated(how, owner):
    """`make_trainer` of a model with that loss."""
    problem = jaxgd.Problem(zeros, Gate(how, owner), TRAIN, valid=VALID)
    return lambda hp: jaxgd.trainer(problem, jaxgd.sgd(hp.learning_rate), hp.batch_size)
