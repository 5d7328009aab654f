"""Trees of one structure as columns: leaves come back as given, and are stacked as JAX takes them in."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxgd
from jaxgd.sweeps.axes import points
from jaxgd.sweeps.cohorts import Cohort, LeafColumn
from jaxgd.sweeps.groups import group_runs
from jaxgd.sweeps.lanes.inputs import Inputs
from jaxgd.sweeps.lanes.sources import Sources
from jaxgd.sweeps.runs import make_runs

ARRAYS = [np.arange(3.0), np.ones(3)]
LEAVES = {
    "floats": [0.1, -0.0, 1e300],
    "whole numbers": [1, -2, 2**40],
    "larger ones": [2**70, 1, 2],
    "bools": [True, False, True],
    "float64": [np.float64(0.1), np.float64("nan"), np.float64(3)],
    "float32": [np.float32(0.1), np.float32(2), np.float32(3)],
    "int32": [np.int32(1), np.int32(2), np.int32(3)],
    "without dimensions": [np.array(0.1), np.array(0.2), np.array(0.3)],
    "of JAX": [jnp.float32(0.1), jnp.float32(0.2), jnp.float32(0.1)],
    "bfloat16": [jnp.bfloat16(0.1), jnp.bfloat16(0.2), jnp.bfloat16(0.1)],
    "arrays": [ARRAYS[0], ARRAYS[1], ARRAYS[0]],
    "one array": [ARRAYS[0]] * 3,
}


def bits(leaf):
    array = np.asarray(leaf)
    return type(leaf), array.shape, array.dtype, leaf if array.dtype == object else array.tobytes()


@pytest.mark.parametrize("name", LEAVES)
def test_a_column_gives_back_its_leaves(name):
    leaves = LEAVES[name]
    column = LeafColumn.of(leaves)
    for rows in ([0, 1, 2], [2, 0], [1, 1, 1]):
        taken = column.take(np.array(rows))
        assert list(map(bits, (taken[place] for place in range(len(rows))))) == [
            bits(leaves[r]) for r in rows
        ]
    both = LeafColumn.joined([column, LeafColumn.of(leaves[1:])])
    assert [bits(both[place]) for place in range(5)] == list(map(bits, leaves + leaves[1:]))
    assert [bits(LeafColumn.constant(leaves[1], 4)[3])] == [bits(leaves[1])]


@pytest.mark.parametrize("name", sorted(set(LEAVES) - {"larger ones", "floats"}))
@pytest.mark.parametrize("wide", [False, True])
def test_what_is_stacked_has_the_bits_of_leaf_by_leaf(name, wide):
    leaves, rows = LEAVES[name], [2, 0, 0, 1]
    with jax.enable_x64(wide):
        stacked = LeafColumn.of(leaves).stacked(rows)
        expected = np.stack([np.asarray(leaves[row]) for row in rows], dtype=jnp.result_type(leaves[0]))
    assert (stacked.dtype, stacked.tobytes()) == (expected.dtype, expected.tobytes())


def test_only_an_array_that_all_have_is_shared():
    shared = {name for name, leaves in LEAVES.items() if LeafColumn.of(leaves).is_shared}
    assert shared == {"one array"}
    assert LeafColumn.of(LEAVES["arrays"]).take(np.array([0, 2])).is_shared


def test_rows_that_differ_in_a_part():
    trees = [{"a": (1.0, np.float64(-0.0)), "b": 1}, {"a": (1.0, np.float64(0)), "b": 1}]
    trees += [{"a": (1.0, np.float64(-0.0)), "b": 2}, {"a": (2.0, np.float64(0.0)), "b": 1}]
    leaves, structures = zip(*map(jax.tree.flatten, trees), strict=True)
    cohort = Cohort.of(structures[0], leaves)
    rows, places = cohort.distinct(lambda tree: tree["a"])
    assert (rows.tolist(), places.tolist()) == ([0, 1, 3], [0, 1, 0, 2])
    rows, places = cohort.distinct(lambda tree: tree["a"][0:0])
    assert (rows.tolist(), places.tolist()) == ([0], [0, 0, 0, 0])
    assert cohort.take([2, 0]).tree(0) == trees[2]


def test_gathering_lanes_puts_no_trainer_together(monkeypatch):
    data = np.zeros((8, 2), np.float32), np.arange(8) % 2
    problem = jaxgd.classification(jaxgd.linear(2, 2), data)
    axes = {"rate": np.linspace(0.1, 1, 50).tolist(), "seed": range(4)}
    (group,) = group_runs(make_runs(lambda hp: jaxgd.trainer(problem, jaxgd.sgd(hp.rate), 4), points(axes)))
    sources = Sources(2)
    for run in group.runs:
        sources.make(run)
    inputs = Inputs(group, sources)
    with monkeypatch.context() as patched:
        patched.setattr(Cohort, "tree", lambda *_: pytest.fail("a trainer was put together"))
        found = inputs.gather(range(200))
    assert [leaf.shape for leaf in found.leaves] == [(200,)]
    np.testing.assert_array_equal(found.leaves[0], np.repeat(axes["rate"], 4).astype(np.float32))
    assert found.orders.shape == (200, 2, 8)
    np.testing.assert_array_equal(found.orders[3], sources.orders(group.runs[3]))
    np.testing.assert_array_equal(found.orders[3], found.orders[7])
