"""Values of axes come back as they were given: through `best`, `params`, `save` and `load`."""

import jax.numpy as jnp
import numpy as np
import pytest
import xarray
from hypothesis import given, settings, strategies as st

import jaxgd
from jaxgd.reports import figures as views
from jaxgd.sweeps.axes import checked_axes, coordinate, label, matches, points
from jaxgd.sweeps.blocks import Block, StackedStates
from jaxgd.sweeps.planning.plans import Plan
from jaxgd.sweeps.results.dataset import assemble

INPUTS = np.random.default_rng(0).normal(size=(12, 2)).astype(np.float32)
PROBLEM = jaxgd.regression(jaxgd.linear(2), (INPUTS, INPUTS[:, 0]), (INPUTS, INPUTS[:, 0]))
SHORT = [np.float16, np.float32, jnp.bfloat16]


def made_up(axes, best=0):
    """The result of a sweep over these axes whose best run is the one at a place; nothing is trained."""
    lists = checked_axes(axes)
    num_runs, places = len(points(lists)), np.arange(len(points(lists)))
    losses = np.where(places == best, 0.5, 1.0)[:, None].repeat(2, axis=1)
    history = {"train_loss": losses, "valid_loss": losses, "updates": np.array([[3, 6]] * num_runs)}
    states = StackedStates(({"w": places[:, None].repeat(2, axis=1)}, None), num_runs)
    block = Block(places, history, np.zeros(num_runs, int), np.full(num_runs, -1), None, states)
    plan = Plan((), 2, "1 x cpu", {}, num_runs)
    dataset = assemble(lists, PROBLEM.num_examples, [block], None, plan)
    return jaxgd.SweepResult(dataset, plan, lists, states)


def run_at(result, **coords):
    return int(result.params(**coords)["w"][0])


def kind(value):
    """What must come back: the type of None, bools and texts, and that of a number."""
    return type(label(value))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (np.True_, True),
        (np.str_("relu"), "relu"),
        (np.int8(3), 3),
        (jnp.int32(3), 3),
        (np.array(0.1), 0.1),
        (np.float64(0.1), 0.1),
        (np.longdouble(0.5), 0.5),
        (np.float32(0.001), 0.001),
        (jnp.float32(0.001), 0.001),
        (np.float16(0.001), 0.001),
        (jnp.bfloat16(0.001), 0.001),
        (jnp.logspace(-3, -1, 3)[0], 0.001),
        (jaxgd.adam, "adam"),
    ],
    ids=lambda value: getattr(value, "__name__", repr(value)),
)
def test_labels(value, expected):
    assert label(value) == expected
    assert type(label(value)) is type(expected)


@given(st.floats(allow_nan=False, allow_infinity=False, width=16), st.sampled_from(SHORT))
def test_a_short_number_is_a_decimal_that_rounds_to_it(number, kind):
    number = kind(number)
    assert kind(label(number)) == number
    assert len(repr(label(number))) <= len(repr(float(number)))


@given(st.floats(2**-20, 2**20, width=32))
def test_a_float32_is_the_shortest(number):
    assert label(np.float32(number)) == float(str(np.float32(number)))


def test_numbers_are_compared_in_the_coarser_precision():
    rates = list(jnp.logspace(-3, -1, 3))
    for asked in (0.001, np.float32(0.001), float(np.float32(0.001)), jnp.float32(0.001), rates[0]):
        assert matches(rates, asked) == [True, False, False]
    for asked in (np.float32(0.001), jnp.float32(0.001), rates[0]):
        assert matches([0.001, 0.01, 0.1], asked) == [True, False, False]
    assert matches([0.1, 0.1 + 1e-9], 0.1) == [True, False]
    assert matches([0.1 + 2e-9, 0.1 + 1e-9], np.float32(0.1)) == [True, True]
    assert matches([0.001, 0.5], jnp.bfloat16(0.001)) == [True, False]
    assert matches([1e30, 2e30], np.float16(1)) == [False, False]
    assert matches([None, "none", 0.5], None) == [True, False, False]
    assert matches([np.nan, 1.0], float("nan")) == [True, False]


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ([None, 0.5, 0.9], object),
        ([8, "full"], object),
        ([True, None, 0.5], object),
        (["a\0", "a"], object),
        ([2**70, 1], object),
        ([2**63 + 1, -1], object),
        ([1, 0.5], np.float64),
        (jnp.logspace(-3, -1, 3), np.float64),
        ([np.int8(1), 2], np.int64),
        ([True, False], np.bool_),
        (["none"], np.dtype("<U4")),
    ],
)
def test_kinds_that_differ_stay_apart(values, dtype):
    array = coordinate(values)
    assert array.dtype == dtype
    assert array.tolist() == [label(value) for value in values]


def test_what_the_documentation_prints():
    rates = made_up({"learning_rate": jnp.logspace(-3, -1, 3), "seed": list(jnp.arange(2))})
    assert rates.best().coords == {"learning_rate": 0.001}
    assert run_at(rates, learning_rate=0.001, seed=1) == 1
    assert run_at(rates, **rates.best().coords, seed=0) == 0
    assert float(rates.dataset.valid_loss.sel(learning_rate=0.001, seed=0, epoch=2)) == 0.5
    mixed = made_up({"momentum": [None, 0.5, 0.9]}, best=2)
    assert mixed.best().coords == {"momentum": 0.9}
    assert mixed.dataset.valid_loss.sel(momentum=0.9).values.tolist() == [0.5, 0.5]
    assert made_up({"b": [8, "full"]}).best().coords == {"b": 8}
    assert type(made_up({"b": [8, 0.5]}).best().coords["b"]) is int


def test_points_keep_kinds_too():
    rows = [{"rate": np.float32(0.1), "momentum": None}, {"rate": 0.5, "momentum": 0.9}]
    result = made_up({"point": rows}, best=0)
    assert result.best().coords == {"point": 0, "rate": 0.1, "momentum": None}
    assert run_at(result, momentum=0.9) == 1
    assert run_at(result, rate=0.1, momentum=None) == 0


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**60), 2**60),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=4),
    st.integers(-100, 100).map(np.int8),
    st.integers(0, 2**63 - 1).map(np.uint64),
    st.booleans().map(np.bool_),
    st.integers(-(2**31), 2**31 - 1).map(jnp.int32),
    st.builds(lambda x, kind: kind(x), st.floats(-1e4, 1e4), st.sampled_from([*SHORT, jnp.float32])),
    st.floats(-1e4, 1e4).map(np.array),
)
AXIS = st.lists(SCALARS, min_size=1, max_size=4, unique_by=label)


@settings(max_examples=40, deadline=None)
@given(first=AXIS, second=AXIS, data=st.data())
def test_round_trips(tmp_path_factory, first, second, data):
    places = [data.draw(st.integers(0, len(axis) - 1)) for axis in (first, second)]
    best = places[0] * len(second) + places[1]
    result = made_up({"first": first, "second": second}, best)
    assert list(result.axes["first"]) == first
    folder = tmp_path_factory.mktemp("saved")
    result.save(folder)
    for each in (result, jaxgd.load(folder)):
        coords = each.best().coords
        wanted = {"first": first[places[0]], "second": second[places[1]]}
        assert coords == {name: label(value) for name, value in wanted.items()}
        assert [type(value) for value in coords.values()] == [kind(value) for value in wanted.values()]
        assert run_at(each, **coords) == run_at(each, **wanted) == best
        assert [list(map(label, axis)) for axis in each.axes.values()] == [
            list(map(label, axis)) for axis in (first, second)
        ]
    xarray.testing.assert_identical(jaxgd.load(folder).dataset, result.dataset)


@pytest.mark.parametrize("values", [[None, 0.5, 0.9], [True, None, "a"], [8, "full"], [True, False]])
def test_views_and_exports(values, tmp_path):
    result = made_up({"option": values, "learning_rate": jnp.logspace(-3, -1, 3)}, best=4)
    for figure in (
        views.slice(result, "option"),
        views.slice(result, "learning_rate", by="option"),
        views.rate_map(result, y="option"),
        views.learning_curves(result, by="option"),
        views.learning_curves(result, by="learning_rate", option=values[1]),
    ):
        assert figure.data
    table = result.to_pandas()
    assert table.option.tolist() == [value for value in values for _ in range(6)]
    result.to_netcdf(tmp_path / "sweep.nc")
    with xarray.open_dataset(tmp_path / "sweep.nc") as again:
        texts = [str(int(x)) if isinstance(x, bool) and None not in values else str(x) for x in values]
        assert [str(x) for x in again.option.values.tolist()] == texts
