"""A sweep of which some runs were not run: its dataset, its best point, its parameters, its files."""

import numpy as np
import pytest
import xarray

import jaxgd
from jaxgd.sweeps.blocks import Block, StackedStates, states_of
from jaxgd.sweeps.planning.plans import Plan
from jaxgd.sweeps.results.dataset import assemble

AXES = {"learning_rate": [0.1, 0.2, 0.3], "seed": [0, 1]}
MEASURED = ["train_loss", "valid_loss"]
PLAN = Plan((), 2, "1 x cpu", {"jaxgd": "0"}, 6, 1.0, 0.0)


def block(place, loss):
    """One run at a place of the grid."""
    history = {name: np.full((1, 2), loss, np.float32) for name in MEASURED}
    history |= {"updates": np.array([[3, 6]], np.int32), "examples": np.array([[12, 24]], np.int32)}
    states = StackedStates(({"w": np.full((1, 2), loss)}, None), 1)
    return Block(np.array([place]), history, np.array([0]), np.array([-1]), None, states)


def partial(losses, seconds=None):
    """The result of runs with these losses; None for one that was not run."""
    blocks = [block(place, loss) for place, loss in enumerate(losses) if loss is not None]
    dataset = assemble(AXES, 12, blocks, seconds, PLAN, MEASURED)
    return jaxgd.SweepResult(dataset, PLAN, AXES, states_of(blocks, len(losses)))


SOME = (0.5, 0.7, 0.1, None, None, None)


def test_runs_that_were_not_run_have_no_numbers():
    dataset = partial(SOME).dataset
    assert dataset.status.values.ravel().tolist() == ["completed"] * 3 + ["not run"] * 3
    assert dataset.stopped_at.values.tolist() == [[-1, -1]] * 3
    assert np.isnan(dataset.valid_loss.values.reshape(6, 2)[3:]).all()
    assert dataset.valid_loss.values.reshape(6, 2)[:3, -1].tolist() == pytest.approx([0.5, 0.7, 0.1])
    assert dataset.updates.values.reshape(6, 2)[2:].tolist() == [[3, 6], [0, 0], [0, 0], [0, 0]]
    assert (dataset.valid_loss.dtype, dataset.updates.dtype) == (np.float32, np.int32)


def test_it_has_the_variables_and_dtypes_of_the_whole():
    whole, some, none = (partial(losses).dataset for losses in ([0.5] * 6, SOME, [None] * 6))
    for other in (some, none):
        assert {n: (v.dims, v.shape) for n, v in other.variables.items()} == {
            n: (v.dims, v.shape) for n, v in whole.variables.items()
        }
        assert {n: v.dtype for n, v in other.variables.items() if n != "status"} == {
            n: v.dtype for n, v in whole.variables.items() if n != "status"
        }


def test_seconds_that_are_not_known():
    seconds = partial(SOME, [0.5, 0.5, np.nan, np.nan, np.nan, np.nan]).dataset.seconds.values.reshape(6, 2)
    np.testing.assert_array_equal(seconds[:3], [[1.5, 3], [1.5, 3], [np.nan, np.nan]])
    np.testing.assert_array_equal(seconds[3:], 0)


def test_a_point_with_a_run_that_was_not_run_is_not_eligible():
    result = partial(SOME)
    assert result.best().coords == {"learning_rate": 0.1}
    assert result.best().value == pytest.approx(0.6)
    none_first = partial((None, None, 0.5, 0.7, 0.1, None))
    assert none_first.best("stopped_at").coords == {"learning_rate": 0.2}  # -1 of all runs
    assert result.best(over=()).coords == {"learning_rate": 0.2, "seed": 0}


def test_no_point_is_left():
    with pytest.raises(
        ValueError,
        match="at no point is valid_loss finite in all runs: 0 of 6 runs diverged, and 3 were not run",
    ):
        partial((0.5, None, 0.1, None, 0.2, None)).best()
    with pytest.raises(ValueError, match=r"at no point is stopped_at finite in all runs: .* 6 were not run"):
        partial([None] * 6).best("stopped_at")


def test_parameters():
    result = partial(SOME)
    assert result.params(learning_rate=0.1, seed=1)["w"].tolist() == [0.7, 0.7]
    for of in (result.params, result.model_state):
        with pytest.raises(
            ValueError, match=r"the run at \(learning_rate=0.2, seed=1\) was not run: the sweep"
        ):
            of(learning_rate=0.2, seed=1)


def test_it_shows_itself():
    assert repr(partial(SOME)) == "SweepResult(learning_rate 3 x seed 2; 2 epochs; 3 completed, 3 not run)"


@pytest.mark.parametrize("losses", [SOME, [None] * 6])
def test_it_is_saved_and_read(losses, tmp_path):
    result = partial(losses)
    result.save(tmp_path / "d")
    again = jaxgd.load(tmp_path / "d")
    xarray.testing.assert_identical(again.dataset, result.dataset)
    for index, loss in enumerate(losses):
        if loss is None:
            assert again.states[index] is None
        else:
            params, _ = again.states[index]
            assert params["w"].tolist() == [loss, loss]
    with pytest.raises(ValueError, match="was not run"):
        again.params(learning_rate=0.3, seed=0)


def test_other_programs_read_it(tmp_path):
    pytest.importorskip("scipy")
    result = partial(SOME)
    table = result.to_pandas()
    assert table.status.tolist() == ["completed"] * 6 + ["not run"] * 6
    assert table.valid_loss.isna().tolist() == [False] * 6 + [True] * 6
    result.to_netcdf(tmp_path / "some.nc")
    with xarray.open_dataset(tmp_path / "some.nc") as read:
        assert read.status.values.astype(str).ravel().tolist() == ["completed"] * 3 + ["not run"] * 3
