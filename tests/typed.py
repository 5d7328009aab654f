"""Runs optimizers and trainers with every annotation of `jaxgd.optim` and `jaxgd.training` checked.

A script of its own, since types are checked of modules that are imported after the hook: `test_types.py` runs
it and reads what it prints, one object of JSON.
"""

import inspect
import json
import sys
import typing

import beartype
import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import optax
from beartype.door import is_bearable

import jaxgd

PARAMS = {"w": jnp.ones((2, 3)), "b": jnp.zeros(3)}
KEY = jax.random.key(0)
BATCH = PARAMS["w"], jnp.zeros(2)


def checked(function: typing.Any) -> typing.Any:
    """The function with its annotations checked; beartype knows `Self` in classes that it decorates only."""
    overrides = beartype.FrozenDict({typing.Self: object})
    conf = beartype.BeartypeConf(hint_overrides=overrides, is_pep484_tower=True)  # an int is a float
    return beartype.beartype(conf=conf)(function)


def misfits(tree):
    """The fields that do not fit their annotations, in all the states of jaxgd in a tree."""
    found = []
    if hasattr(tree, "_fields") and type(tree).__module__.startswith("jaxgd."):
        hints = typing.get_type_hints(type(tree), include_extras=True)
        with jaxtyping.jaxtyped("context"):
            found = [
                f"{type(tree).__name__}.{name}"
                for name, hint in hints.items()
                if not is_bearable(getattr(tree, name), hint)
            ]
    children = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, tuple | list) else ()
    return found + [misfit for child in children for misfit in misfits(child)]


def optimizers():
    """Every public optimizer by name, then what is made of them and with their options."""
    named = {name: getattr(jaxgd.optim, name) for name in jaxgd.optim.__all__}
    for name, function in named.items():
        if inspect.isfunction(function) and "learning_rate" in inspect.signature(function).parameters:
            yield name, function(learning_rate=0.1)
    optim, rate = jaxgd.optim, jaxgd.optim.linear_schedule(0.1, 0.0, 5)
    yield "clipping", optim.chain(optim.clip_by_global_norm(1.0), optim.adam(rate), optim.soft_threshold(0.1))
    yield "weight decay", optim.adamw(np.float32(0.1), weight_decay=rate, mask={"w": True, "b": False})
    yield "Dozat's Nadam", optim.nadam(1, momentum_decay=0.004)
    yield "RMSprop", optim.rmsprop(jnp.asarray(0.1), centered=True, bias_correction=True, momentum=0.9)
    yield "moments", optim.chain(optim.scale_by_moments(m_decay=0.9, m_in=0.1), optim.scale(-0.1))
    yield "freezing", optim.selective_transform(optim.sgd(0.1), freeze_mask={"w": True, "b": False})
    yield "merged", optim.generalize(optim.adam(rate))
    yield "polyak_sgd", optim.polyak_sgd()
    yield "foreign", optim.chain(optax.clip(1.0), optim.from_optax(optax.yogi, 0.1))


def schedules():
    """One of every kind of schedule."""
    optim = jaxgd.optim
    yield optim.constant_schedule(0.1)
    yield optim.exponential_decay(0.1, 10, 0.5, staircase=True, end_value=0.01)
    yield optim.inverse_time_decay(0.1, 1, 1)
    yield optim.step_decay(np.float32(0.1), 10)
    yield optim.cosine_decay_schedule(0.1, 10)
    yield optim.polynomial_schedule(0.1, 0.01, 2, 10)
    yield optim.warmup_constant_schedule(0, 0.1, 3)
    yield optim.warmup_exponential_decay_schedule(0.0, 0.1, 3, 10, 0.5)
    yield optim.join_schedules([optim.constant_schedule(0.1), optim.linear_schedule(0.1, 0.0, 5)], [4])
    yield optim.sgdr_schedule([{"init_value": 0.0, "peak_value": 0.1, "warmup_steps": 2, "decay_steps": 9}])
    yield optim.piecewise_constant_schedule(0.1, {5: 0.5})
    yield optim.piecewise_interpolate_schedule("cosine", 0.1, {5: 0.5})
    yield optim.linear_onecycle_schedule(10, 0.1)
    yield optim.cosine_onecycle_schedule(10, 0.1)


def run_optimizers():
    """Trace an update by each optimizer; the names of those that ran, and what does not fit."""
    names, wrong = [], []
    for name, optimizer in optimizers():

        def step(params, optimizer=optimizer):
            state = optimizer.init(params)
            extra = {"value": jnp.zeros(()), "grad": params, "value_fn": lambda p: jnp.sum(p["w"] ** 2)}
            updates, new = optimizer.update(params, state, params, **extra)
            wrong.extend(misfits([state, new]))
            return jaxgd.apply_updates(params, updates)

        jax.eval_shape(step, PARAMS)
        names.append(name)
    return names, wrong


def run_lanes():
    """Trace optimizers that are lanes of a vmap, and run an update in place."""
    stacked, axes = jaxgd.stack([jaxgd.adam(0.1), jaxgd.adam(0.2, b1=0.5)])

    def step(optimizer):
        return optimizer.update(PARAMS, optimizer.init(PARAMS), PARAMS)

    jax.eval_shape(jax.vmap(step, in_axes=(axes,)), stacked)
    jax.eval_shape(jax.vmap(step), jaxgd.sgd(jnp.array([0.1, 0.2])))
    update = jaxgd.make_update(jaxgd.sgd(0.1), lambda p, x, y: jnp.mean((x @ p["v"] - y) ** 2))
    weights = {"v": jnp.zeros(3)}
    update(weights, jaxgd.sgd(0.1).init(weights), *BATCH)


def trainers():
    """Trainers with every rule, of models that drop, with a batch size that is a leaf, by name."""
    generator = np.random.default_rng(0)
    inputs, labels = generator.normal(size=(20, 4)).astype(np.float32), np.arange(20) % 3
    train, valid = (inputs, labels), (inputs[:6], labels[:6])
    net = jaxgd.drop_connect(jaxgd.mlp([4, np.int64(5), 3], dropout=0.1), 0.1)
    problem = jaxgd.regularized(jaxgd.classification(net, train, valid), l2=1e-3)
    ruled = jaxgd.trainer(problem, jaxgd.adam(0.01), batch_size=8, microbatch=np.int64(4))
    ruled = jaxgd.average_weights(jaxgd.early_stopping(ruled, patience=5), decay=0.9)
    yield "rules", jaxgd.budget(jaxgd.reduce_on_plateau(ruled, patience=2), updates=50)
    line = jaxgd.regression(jaxgd.linear(4), (inputs, inputs[:, 0]), (inputs[:6], inputs[:6, 0]))
    yield "a leaf", jaxgd.trainer(line, jaxgd.sgd(0.1), batch_size=jnp.int32(5), microbatch=5)


def run_trainers():
    """Trace whole runs, run short ones in segments and a sweep; the names, and what does not fit."""
    names, wrong = [], []
    for name, trainer in trainers():

        def run(key, trainer=trainer):
            wrong.extend(misfits(fit := jaxgd.fit(trainer, key, 2)))
            return fit

        jax.eval_shape(run, KEY)
        jax.eval_shape(jax.vmap(run), jax.random.split(KEY, 3))
        names.append(name)
    trainer = dict(trainers())["a leaf"]
    *_, (state, history) = jaxgd.iterate(trainer, jax.random.PRNGKey(0), np.int64(2))
    wrong += misfits([state, jaxgd.Fit(state, history)])
    wrong += misfits(jaxgd.train(trainer, KEY, 2, progress=False, log=[dict]))
    jaxgd.evaluate(trainer.problem, state.params)
    axes = {"learning_rate": [0.1, 0.2]}
    remake = lambda point: jaxgd.trainer(trainer.problem, jaxgd.sgd(point["learning_rate"]), 5)  # noqa: E731
    jaxgd.sweep(remake, axes, 1, progress=False)
    return names, wrong


TEXT: typing.Any = "1.0"
WRONG = {
    "a number": lambda: jaxgd.optim.clip_by_global_norm(TEXT),
    "a number or a schedule": lambda: jaxgd.optim.scale_by_moments(m_decay=TEXT, m_in=0.1),
    "a count": lambda: jaxgd.optim.constant_schedule(0.1)(TEXT),
    "parameters": lambda: jaxgd.sgd(0.1).init({"w": TEXT}),
    "a key": lambda: jaxgd.fit(dict(trainers())["a leaf"], TEXT, 1),
    "a whole number": lambda: jaxgd.linear(TEXT),
}


def caught():
    """Which of the wrong types are refused because of an annotation."""
    found = []
    for name, call in WRONG.items():
        try:
            call()
        except jaxtyping.TypeCheckError:
            found.append(name)
    state: typing.Any = jaxgd.optim.soft_threshold(0.1).init(PARAMS)
    return found + misfits([state._replace(count=jnp.zeros(())), {"of two": state._replace(count=0)}])


def main():
    """Check what is run, and print it."""
    jaxtyping.install_import_hook(["jaxgd.optim", "jaxgd.training"], "typed.checked")
    names, wrong = run_optimizers()
    for schedule in schedules():
        for count in (3, np.arange(12), jnp.int32(3)):
            jax.eval_shape(lambda count, schedule=schedule: (schedule(3), schedule(count)), count)
    run_lanes()
    trained, misfit = run_trainers()
    said = {"optimizers": names, "trainers": trained, "misfits": wrong + misfit, "caught": caught()}
    json.dump(said, sys.stdout)


if __name__ == "__main__":
    main()
