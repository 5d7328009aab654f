"""A trainer in Python's own pickle: of functions that can be imported it runs to the same bits."""

import copy
import pickle
import subprocess
import sys

import jax
import numpy as np
import pytest

import jaxgd
from jaxgd.training.models.model import ACTIVATIONS, INITIALIZERS

INPUTS = np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32)
SPLIT = (INPUTS, (INPUTS[:, 0] > 0).astype(int))


def problem(model):
    return jaxgd.classification(model, SPLIT, SPLIT, SPLIT)


PROBLEM = problem(jaxgd.mlp([4, 3, 2]))
TRAINER = jaxgd.trainer(PROBLEM, jaxgd.adam(0.1), 8)
SCHEDULE = jaxgd.optim.cosine_decay_schedule(0.1, 10)
TRAINERS = {
    "mlp": TRAINER,
    "linear": jaxgd.trainer(problem(jaxgd.linear(4, 2)), jaxgd.momentum(0.1), "full"),
    "convolutions": jaxgd.trainer(problem(jaxgd.conv_net((2, 2), 2, (3,))), jaxgd.adam(SCHEDULE), 8),
    "dropout": jaxgd.trainer(
        problem(jaxgd.mlp([4, 3, 2], dropout=0.1, drop_connect=0.1)), jaxgd.nadam(0.1), 8, microbatch=4
    ),
    "penalty": jaxgd.trainer(jaxgd.regularized(PROBLEM, l2=0.1), jaxgd.generalize(jaxgd.sgd(0.1)), 8),
    "precision": jaxgd.trainer(problem(jaxgd.mixed_precision(jaxgd.mlp([4, 3, 2]))), jaxgd.adamw(0.1), 8),
    "batch sizes": jaxgd.trainer(PROBLEM, jaxgd.sgd(0.1), jaxgd.optim.linear_schedule(2.0, 8.0, 5), 2),
    "chain": jaxgd.trainer(
        PROBLEM, jaxgd.chain(jaxgd.optim.clip_by_global_norm(1.0), jaxgd.sgd(0.1)), 8, sampling="replacement"
    ),
    "early stopping": jaxgd.early_stopping(TRAINER, patience=1),
    "plateau": jaxgd.reduce_on_plateau(TRAINER, patience=1),
    "average": jaxgd.average_weights(TRAINER),
    "budget": jaxgd.budget(TRAINER, updates=4),
    "surface": jaxgd.trainer(jaxgd.landscape.surface("rosenbrock").problem(), jaxgd.sgd(1e-3), "full"),
}


def numbers(trainer):
    fit = jaxgd.fit(trainer, jax.random.key(3), epochs=2)
    return [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves((fit.history, fit.state.params))]


@pytest.mark.parametrize("name", TRAINERS)
def test_it_runs_to_the_same_bits(name):
    again = pickle.loads(pickle.dumps(TRAINERS[name]))
    assert jax.tree.structure(again) == jax.tree.structure(TRAINERS[name])
    assert numbers(again) == numbers(TRAINERS[name])


@pytest.mark.parametrize("what", [*ACTIVATIONS, *INITIALIZERS])
def test_every_activation_and_initialiser_comes_back(what):
    given = {"activation" if what in ACTIVATIONS else "init": what}
    model = jaxgd.mlp([4, 3, 2], **given)
    again = pickle.loads(pickle.dumps(model))
    assert jax.tree.structure(again) == jax.tree.structure(model)
    params = [np.asarray(each.init(jax.random.key(0))[0]["w"]) for each in (model, again)]
    np.testing.assert_array_equal(*params)


def test_another_process_runs_it_to_the_same_bits(tmp_path):
    (tmp_path / "own_losses.py").write_text(
        "import jax\n\n@jax.jit\ndef loss(params, batch):\n    return (params - batch) ** 2\n\n"
        "def init(key):\n    return jax.random.normal(key)\n"
    )
    script = (
        "import pickle, sys, jax, jaxgd, numpy as np, own_losses\n"
        "data = np.arange(6, dtype=np.float32)\n"
        "trainer = jaxgd.trainer(jaxgd.Problem(own_losses.init, own_losses.loss, data), jaxgd.adam(0.1), 3)\n"
        "given = pickle.loads(bytes.fromhex(sys.argv[1])) if sys.argv[1:] else trainer\n"
        "assert jax.tree.structure(given) == jax.tree.structure(trainer)\n"
        "print(pickle.dumps(given).hex())\n"
        "print(np.asarray(jaxgd.fit(given, jax.random.key(0), 2).history['train_loss']).tobytes().hex())\n"
    )
    (tmp_path / "run.py").write_text(script)
    run = [sys.executable, "run.py"]
    first = subprocess.run(run, cwd=tmp_path, capture_output=True, text=True, check=True).stdout.split()
    again = subprocess.run([*run, first[0]], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert again.stdout.split() == first


def test_a_lambda_is_refused_by_pickle_itself():
    own = jaxgd.Problem(lambda key: 0.0, lambda params, batch: params - batch, INPUTS)
    trainer = jaxgd.trainer(own, jaxgd.sgd(0.1), 4)
    with pytest.raises((pickle.PicklingError, AttributeError), match=r"Can't .*lambda"):
        pickle.dumps(trainer)


def test_a_copy_is_the_same():
    assert numbers(copy.copy(TRAINER)) == numbers(copy.deepcopy(TRAINER)) == numbers(TRAINER)
    static = jax.tree.leaves(TRAINER.problem.init, is_leaf=lambda node: hasattr(node, "reading"))[0]
    assert copy.copy(static) is static
