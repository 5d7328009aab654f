"""Trainers of one traced call have the bits, and the errors, of calls one by one."""

import itertools
import math
import random
import time
import warnings
from collections import Counter
from types import SimpleNamespace
from unittest.mock import Mock

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxgd
from jaxgd import optim
from jaxgd.sweeps.axes import points
from jaxgd.sweeps.groups import group_runs
from jaxgd.sweeps.making import combinations
from jaxgd.sweeps.runs import make_runs

X = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
LABELS = np.arange(20) % 2
TRAIN = X, LABELS
PROBLEM = jaxgd.classification(jaxgd.linear(3, 2), TRAIN, TRAIN)
RATES = [0.1 * 1.1**step for step in range(-40, 10)]
SETTINGS = SimpleNamespace(decay=0.3, table={"small": 0.25})


def trainer(optimizer, **kwargs):
    return jaxgd.trainer(PROBLEM, optimizer, 5, **kwargs)


def scaled(scale, params, batch):
    return scale * jnp.square(params["w"] @ batch[0] - batch[1])


def with_scale(hp):
    loss = jax.tree_util.Partial(scaled, hp.rate)
    problem = jaxgd.Problem(lambda key: {"w": jnp.zeros(3)}, loss, (X, X[:, 0]))
    return jaxgd.trainer(problem, jaxgd.sgd(0.1), 5)


def wide(hp):
    model = jaxgd.mlp([3, hp.width, 2], dropout=hp.rate)
    return jaxgd.trainer(jaxgd.classification(model, TRAIN), jaxgd.sgd(hp.rate), 5)


def of_presets(hp):
    factories = {"sgd": jaxgd.sgd, "adam": jaxgd.adam}
    return trainer(factories[hp.name](hp.rate))


TABLE = {
    "a number": (lambda hp: trainer(jaxgd.sgd(hp.rate)), {}),
    "products": (lambda hp: trainer(jaxgd.sgd(hp.rate * hp.scale / 7)), {"scale": [0.3, 3.0]}),
    "differences": (lambda hp: trainer(jaxgd.adam(hp.rate, b1=1 - hp.rate / 2)), {}),
    "a decay": (lambda hp: trainer(jaxgd.adam(0.1, b2=hp.rate)), {}),
    "powers": (lambda hp: trainer(jaxgd.sgd(hp.rate**2 + hp.rate**0.5 + hp.rate**-1)), {}),
    "of ten": (lambda hp: trainer(jaxgd.sgd(10**-hp.rate)), {}),
    "whole numbers": (
        lambda hp: trainer(jaxgd.sgd(hp.rate * hp.n / 3 + 2.0**-hp.n)),
        {"n": [1, 2, 3]},
    ),
    "a schedule": (
        lambda hp: trainer(jaxgd.sgd(optim.exponential_decay(hp.rate, hp.steps, SETTINGS.decay))),
        {"steps": [10, 20, 1000]},
    ),
    "a chain": (
        lambda hp: trainer(jaxgd.chain(optim.clip_by_global_norm(hp.rate), jaxgd.adam(hp.rate))),
        {},
    ),
    "weight decay": (
        lambda hp: trainer(jaxgd.adamw(hp.rate, weight_decay=hp.wd * hp.rate)),
        {"wd": [0.1, 0.7]},
    ),
    "patience": (
        lambda hp: jaxgd.early_stopping(trainer(jaxgd.sgd(hp.rate)), patience=hp.patience, min_delta=hp.rate),
        {"patience": [1, 2, 3]},
    ),
    "a budget": (
        lambda hp: jaxgd.budget(trainer(jaxgd.sgd(hp.rate)), updates=hp.updates),
        {"updates": [10, 2**31, 2**40]},
    ),
    "dropout": (wide, {"width": [2, 3]}),
    "a batch size": (
        lambda hp: jaxgd.trainer(PROBLEM, jaxgd.sgd(hp.rate), hp.batch_size),
        {"batch_size": [5, "full", 7]},
    ),
    "names": (of_presets, {"name": ["sgd", "adam"]}),
    "names of a module": (lambda hp: trainer(getattr(jaxgd, hp.name)(hp.rate)), {"name": ["sgd", "adam"]}),
    "functions": (lambda hp: trainer(hp.factory(hp.rate)), {"factory": [jaxgd.sgd, jaxgd.adam]}),
    "a loss's argument": (with_scale, {}),
    "an attribute and an entry": (
        lambda hp: trainer(jaxgd.momentum(hp.rate * SETTINGS.table["small"], SETTINGS.decay)),
        {},
    ),
    "all of a point": (lambda hp: trainer(jaxgd.sgd(*hp.values())), {}),
    "Optax": (lambda hp: trainer(optax.adam(hp.rate, b1=1 - hp.rate)), {}),
    "Optax by name": (lambda hp: trainer(jaxgd.from_optax(optax.sgd, hp.rate, momentum=0.9)), {}),
    "None": (lambda hp: trainer(jaxgd.momentum(0.1, hp.decay)), {"decay": [0.0, *RATES]}),
    "seeds": (lambda hp: trainer(jaxgd.sgd(hp.rate)), {"seed": [3, 4, 5]}),
    "points": (
        lambda hp: trainer(jaxgd.adamw(hp.lr, weight_decay=hp.wd)),
        {"point": [{"lr": rate, "wd": rate / 3} for rate in RATES]},
    ),
}


def closes_over(hp):
    def loss(params, batch):
        return hp.rate * jnp.square(batch[0] @ params["w"] - batch[1])

    problem = jaxgd.Problem(lambda key: {"w": jnp.zeros(3)}, loss, (X, X[:, 0]))
    return jaxgd.trainer(problem, jaxgd.sgd(0.1), 5)


def swallows(hp):
    try:
        rate = float(hp.rate)
    except Exception:
        rate = 0.1
    return trainer(jaxgd.sgd(rate))


# What is called, and cannot be traced; what is not even tried; each a make_trainer of `rate`.
CANNOT = {
    "a branch": lambda hp: trainer(jaxgd.sgd(hp.rate if hp.rate < 0.05 else 1.0)),
    "a larger one": lambda hp: trainer(jaxgd.sgd(max(hp.rate, 0.05))),
    "a conversion": lambda hp: trainer(jaxgd.sgd(float(hp.rate))),
    "an error that is swallowed": swallows,
    "a square root": lambda hp: trainer(jaxgd.sgd(math.sqrt(hp.rate))),
    "NumPy": lambda hp: trainer(jaxgd.sgd(np.sqrt(hp.rate))),
    "NumPy's float32": lambda hp: trainer(jaxgd.sgd(hp.rate * np.float32(0.3))),
    "JAX": lambda hp: trainer(jaxgd.sgd(jnp.asarray(hp.rate) * 0.3)),
    "JAX's powers": lambda hp: trainer(jaxgd.sgd(jnp.power(hp.rate, 3))),
    "JAX's exp": lambda hp: trainer(jaxgd.sgd(jnp.exp(hp.rate))),
    "an array": lambda hp: trainer(jaxgd.sgd(jnp.ones(2) * hp.rate)),
    "a key": lambda hp: trainer(jaxgd.sgd(jax.random.uniform(jax.random.key(3)) * hp.rate)),
    "a remainder": lambda hp: trainer(jaxgd.sgd(hp.rate // 0.01)),
    "a rounding": lambda hp: trainer(jaxgd.sgd(round(hp.rate, 2))),
    "a closure over the point": closes_over,
    "the kind of a number": lambda hp: trainer(jaxgd.sgd(hp.rate if isinstance(hp.rate, float) else 0.5)),
    "a whole number that float32 rounds": lambda hp: trainer(
        jaxgd.sgd(optim.polynomial_schedule(0.1, 0.0, 1, 2.0**25 + 1 + hp.rate * 0))
    ),
}
CALLED: list = []
COUNT = {"calls": 0}
SPACE = SimpleNamespace(last=0.0)
NUMBERS = itertools.count()
DRAWN = np.random.default_rng(0)


class Counting:
    def __init__(self):
        self.calls = 0

    def __call__(self, hp):
        self.calls += 1
        return trainer(jaxgd.sgd(hp.rate))


def noted(rate):
    CALLED.append(rate)
    return rate


def counts_in_global(hp):
    global TOTAL
    TOTAL = hp.rate
    return trainer(jaxgd.sgd(hp.rate))


def counts_in_entry(hp):
    COUNT["calls"] += 1
    return trainer(jaxgd.sgd(hp.rate))


def sets_by_name(hp):
    globals()["TOTAL"] = hp.rate
    return trainer(jaxgd.sgd(hp.rate))


def sets_attribute(hp):
    SPACE.last = hp.rate
    return trainer(jaxgd.sgd(hp.rate))


def prints(hp):
    print(hp.rate)
    return trainer(jaxgd.sgd(hp.rate))


NOT_TRIED = {
    "a list": lambda hp: trainer(jaxgd.sgd(noted(hp.rate))),
    "a method of the list": lambda hp: CALLED.append(1) or trainer(jaxgd.sgd(hp.rate)),
    "a global": counts_in_global,
    "a global by name": sets_by_name,
    "an entry": counts_in_entry,
    "an entry by its method": lambda hp: COUNT.__setitem__("calls", 3) or trainer(jaxgd.sgd(hp.rate)),
    "an attribute": sets_attribute,
    "an attribute by setattr": lambda hp: setattr(SPACE, "last", 1) or trainer(jaxgd.sgd(hp.rate)),
    "an object that counts": Counting(),
    "a mock": Mock(side_effect=lambda hp: trainer(jaxgd.sgd(hp.rate))),
    "an iterator": lambda hp: trainer(jaxgd.sgd(hp.rate + next(NUMBERS))),
    "a draw": lambda hp: trainer(jaxgd.sgd(hp.rate * DRAWN.uniform())),
    "a draw of NumPy's": lambda hp: trainer(jaxgd.sgd(hp.rate * np.random.uniform())),  # noqa: NPY002
    "a draw of Python's": lambda hp: trainer(jaxgd.sgd(hp.rate * random.random())),
    "the time": lambda hp: trainer(jaxgd.sgd(hp.rate * time.time())),
    "a sum": lambda hp: trainer(jaxgd.sgd(sum([hp.rate, 0.1, 1e-17]))),
    "a text on the screen": prints,
    "a text": lambda hp: trainer(jaxgd.sgd({"0.1": 3.0}.get(f"{hp.rate}", 0.1))),
    "a text of all": lambda hp: trainer(jaxgd.sgd({"(rate=0.1)": 3.0}.get(repr(hp), 0.1))),
    "a text by %": lambda hp: trainer(jaxgd.sgd({"0.1": 3.0}.get("%s" % hp.rate, 0.1))),  # noqa: UP031
    "a text by format": lambda hp: trainer(jaxgd.sgd({"0.1": 3.0}.get("{}".format(hp.rate), 0.1))),  # noqa: UP032
}


def rows(make, axes):
    """The bits and kinds of all leaves of each run, and its structure."""
    runs = make_runs(make, points(axes))
    return [(jax.tree.structure(run.trainer), list(map(bits, jax.tree.leaves(run.trainer)))) for run in runs]


def bits(leaf):
    return type(leaf), np.shape(leaf), np.asarray(leaf).dtype, np.asarray(leaf).tobytes()


def one_by_one(make, axes):
    made = [make(point) for point in points(axes)]
    return [(jax.tree.structure(each), list(map(bits, jax.tree.leaves(each)))) for each in made]


@pytest.fixture
def few(monkeypatch):
    monkeypatch.setattr(combinations, "FEW", 8)


def counted(monkeypatch):
    """How often trainers are made by calls, concrete or traced, as the parts that are checked say."""
    calls = Counter()
    made_at, trace = combinations.made_at, combinations.trace

    def count(name, function):
        def counting(*args, **kwargs):
            calls[name] += 1
            return function(*args, **kwargs)

        return counting

    monkeypatch.setattr(combinations, "made_at", count("calls", made_at))
    monkeypatch.setattr(combinations, "trace", count("traces", trace))
    return calls


@pytest.mark.parametrize("name", TABLE)
def test_leaves_have_the_bits_of_calls_one_by_one(name, few, monkeypatch):
    make, more = TABLE[name]
    axes = more if "point" in more or "decay" in more else {"rate": RATES, **more}
    calls = counted(monkeypatch)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = rows(make, axes)
    assert found == one_by_one(make, axes)
    assert calls["traces"] >= 1
    assert calls["calls"] < len(found) * 0.7, calls


@pytest.mark.parametrize("name", CANNOT)
def test_what_cannot_be_traced_has_the_bits_of_calls_one_by_one(name, few, monkeypatch):
    calls = counted(monkeypatch)

    def found():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            runs = make_runs(CANNOT[name], points({"rate": RATES}))
        groups = [[run.index for run in group.runs] for group in group_runs(runs)]
        return [list(map(bits, jax.tree.leaves(run.trainer))) for run in runs], groups

    here = found()
    assert calls["calls"] >= len(RATES) or name == "the kind of a number"
    monkeypatch.setattr(combinations, "FEW", 10**6)
    assert here == found()


@pytest.mark.parametrize("name", ["JAX", "JAX's powers", "an array", "a key"])
def test_in_float64_too(name, few, x64):
    make = CANNOT[name]
    assert rows(make, {"rate": RATES}) == one_by_one(make, {"rate": RATES})


def test_powers_of_jax_that_python_has_too_at_the_ends(few, x64):
    """Only in the middle do they differ in a bit."""
    rates = np.random.default_rng(0).uniform(0.1, 1, 200).tolist()
    same = sorted(rate for rate in rates if float(jnp.power(rate, 3)) == rate**3)
    other = [rate for rate in rates if same[0] < rate < same[-1] and rate not in same]
    axes = {"rate": [same[0], *other, *same[1:]]}
    assert other
    make = CANNOT["JAX's powers"]
    assert rows(make, axes) == one_by_one(make, axes)


@pytest.mark.parametrize("name", NOT_TRIED)
def test_what_does_more_than_make_a_trainer_is_called_once_for_each_point(name, few, monkeypatch, capsys):
    seen, make = [], NOT_TRIED[name]
    made_at = combinations.made_at
    monkeypatch.setattr(combinations, "trace", lambda *_: pytest.fail("it was traced"))
    monkeypatch.setattr(combinations, "made_at", lambda make, at: seen.append(at.rate) or made_at(make, at))
    make_runs(make, points({"rate": RATES}))
    assert seen == RATES


def test_a_counter_counts_the_points(few):
    counting = Counting()
    make_runs(counting, points({"rate": RATES}))
    CALLED.clear()
    make_runs(NOT_TRIED["a list"], points({"rate": RATES}))
    assert (counting.calls, CALLED) == (len(RATES), RATES)


def test_few_points_are_made_one_by_one(monkeypatch):
    calls = counted(monkeypatch)
    make_runs(lambda hp: trainer(jaxgd.sgd(hp.rate)), points({"rate": RATES}))
    assert calls == {"calls": len(RATES)}


@pytest.mark.parametrize("seed", range(20))
def test_any_arithmetic(seed, few):
    draw = random.Random(seed)

    def expression(depth):
        if depth == 0:
            return draw.choice(["hp.a", "hp.b", "hp.n", repr(draw.uniform(0.1, 3)), str(draw.randint(1, 4))])
        left, right = expression(depth - 1), expression(depth - 1)
        return f"({left} {draw.choice(['+', '-', '*', '/', '**'])} {right})"

    text = f"abs({expression(draw.choice([1, 2, 3]))}) + 0 * hp.a"
    scope = {"trainer": trainer, "jaxgd": jaxgd}
    make = eval(f"lambda hp: trainer(jaxgd.sgd({text}))", scope)
    generator = np.random.default_rng(seed)
    axes = {"a": generator.uniform(0.1, 2, 6).tolist(), "b": generator.uniform(0.1, 2, 5), "n": [1, 2, 5]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert rows(make, axes) == one_by_one(make, axes), text


def falls(hp):
    schedule = optim.warmup_cosine_decay_schedule(0.0, 0.1, hp.warmup, hp.steps)
    return trainer(jaxgd.sgd(schedule))


MIDDLE = RATES[:20], RATES[20:]
ERRORS = {
    "below 0": (lambda hp: trainer(jaxgd.sgd(hp.rate)), {"rate": [*MIDDLE[0], -0.5, *MIDDLE[1], -1.0]}),
    "no number": (lambda hp: trainer(jaxgd.sgd(hp.rate)), {"rate": [*MIDDLE[0], math.nan, *MIDDLE[1]]}),
    "infinite": (lambda hp: trainer(jaxgd.sgd(hp.rate)), {"rate": [*MIDDLE[0], math.inf, *MIDDLE[1]]}),
    "a decay of 1": (lambda hp: trainer(jaxgd.adam(0.1, b1=hp.rate)), {"rate": [*RATES, 1.0, 0.99, 1.5]}),
    "a difference": (lambda hp: trainer(jaxgd.sgd(hp.a - hp.b)), {"a": RATES, "b": [0.001, RATES[20]]}),
    "division by 0": (lambda hp: trainer(jaxgd.sgd(1 / hp.rate)), {"rate": [*MIDDLE[0], 0.0, *MIDDLE[1]]}),
    "overflow": (lambda hp: trainer(jaxgd.sgd(10**hp.rate)), {"rate": [*MIDDLE[0], 1000.0, *MIDDLE[1]]}),
    "one above another": (falls, {"warmup": [5, 25, 1, 10], "steps": [30, 12, 20]}),
    "no whole number": (
        lambda hp: jaxgd.early_stopping(trainer(jaxgd.sgd(0.1)), patience=hp.patience),
        {"patience": [*range(30, 2, -1), 2.5, *range(2, -2, -1)]},
    ),
    "a batch size": (
        lambda hp: jaxgd.trainer(PROBLEM, jaxgd.sgd(hp.rate), hp.size),
        {"rate": RATES, "size": [5, 4, 30, 0]},
    ),
    "an unknown name": (lambda hp: trainer(jaxgd.sgd(hp.rte)), {"rate": RATES}),
    "no trainer": (lambda hp: hp.rate, {"rate": RATES}),
    "an unknown optimizer": (
        lambda hp: trainer(getattr(jaxgd, hp.name)(hp.rate)),
        {"name": ["sgd", "sdg"], "rate": RATES},
    ),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors_are_those_of_the_first_point_that_fails(name, few, monkeypatch):
    make, axes = ERRORS[name]

    def error():
        try:
            make_runs(make, points(axes))
        except Exception as error:
            return type(error), str(error), getattr(error, "__notes__", None)

    found = error()
    assert found is not None
    monkeypatch.setattr(combinations, "FEW", 10**6)
    assert found == error()


@pytest.mark.parametrize("start", [0.01, 0.5])
def test_data_made_anew_are_held_once_however_trainers_are_made(start, few, monkeypatch):
    """Half of the points branch to another way, so that they are made one by one."""

    def make(hp):
        problem = jaxgd.classification(jaxgd.linear(3, 2), (X.copy(), LABELS.copy()))
        return jaxgd.trainer(problem, jaxgd.sgd(float(hp.rate) if hp.way else hp.rate), 5)

    calls = counted(monkeypatch)
    rates = [start * 1.1**step for step in range(20)]
    (group,) = group_runs(make_runs(make, points({"way": [False, True], "rate": rates})))
    assert calls["calls"] < 40
    assert (len(group.shared), len(group.columns)) == (2, 1)
    assert group.columns[0].values.tolist() == rates * 2


def test_an_axis_that_nobody_reads(few):
    with pytest.warns(UserWarning, match="make_trainer never uses axis 'momentum'") as caught:
        make_runs(
            lambda hp: trainer(jaxgd.sgd(hp.rate)),
            points({"rate": RATES, "momentum": [0.1, 0.2], "seed": [0, 1]}),
        )
    assert len(caught) == 1


def test_a_setting_that_is_read_is_that_of_when_it_is_made(few):
    SETTINGS.decay = 0.5
    found = rows(TABLE["an attribute and an entry"][0], {"rate": RATES})
    SETTINGS.decay = 0.3
    assert found != rows(TABLE["an attribute and an entry"][0], {"rate": RATES})


def test_what_a_plan_does_grows_with_its_programs_and_not_with_its_lanes(monkeypatch):
    """Twenty times as many points take as many calls, and as many trees are flattened and put together."""
    calls = counted(monkeypatch)
    for name in ("flatten", "unflatten"):
        function = getattr(jax.tree, name)
        monkeypatch.setattr(
            jax.tree,
            name,
            lambda *args, function=function, name=name, **kwargs: (
                calls.update([name]) or function(*args, **kwargs)
            ),
        )

    def counts(seeds):
        calls.clear()
        axes = {"name": ["sgd", "adam"], "rate": RATES, "seed": range(seeds)}
        plan = jaxgd.plan(of_presets, axes, 2, lanes=1)
        assert [len(program.runs) for program in plan.groups] == [50 * seeds] * 2
        return dict(calls)

    assert counts(4) == counts(80)
    assert calls["calls"] < 20


def test_one_by_one_a_trainer_is_flattened_once(monkeypatch):
    flattened = Counter()
    flatten = jax.tree.flatten

    def counting(tree, *args, **kwargs):
        flattened[type(tree).__name__] += 1
        return flatten(tree, *args, **kwargs)

    monkeypatch.setattr(jax.tree, "flatten", counting)
    group_runs(make_runs(NOT_TRIED["a list"], points({"rate": RATES})))
    assert flattened["Trainer"] == len(RATES)
