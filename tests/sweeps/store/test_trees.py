"""Trees of parameters as JSON and back."""

import json
import sys
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jaxgd.sweeps.store.trees import describe, rebuild


class Layer(NamedTuple):
    w: object
    b: object = None


def round_trip(tree, like=None):
    about, leaves = describe(tree)
    return rebuild(json.loads(json.dumps(about)), leaves, like)


@pytest.mark.parametrize(
    "tree",
    [
        np.arange(3.0),
        None,
        {},
        [],
        (),
        {"b": 1.0, "a": [np.arange(2), (None, np.float32(3))], "z": {}},
        {1: np.ones(2), 0: np.zeros(2)},
        [Layer(np.ones((2, 2)), None), Layer(np.ones(2), (np.zeros(1),))],
    ],
    ids=repr,
)
def test_a_tree_comes_back(tree):
    again = round_trip(tree)
    assert jax.tree.structure(again) == jax.tree.structure(tree)
    for new, old in zip(jax.tree.leaves(again), jax.tree.leaves(tree), strict=True):
        np.testing.assert_array_equal(new, old)


def test_the_order_of_a_dict_stays():
    assert list(round_trip({"b": 1.0, "a": 2.0})) == list(jax.tree.map(lambda x: x, {"b": 1.0, "a": 2.0}))


def test_a_named_tuple_whose_class_is_not_loaded_has_its_fields(monkeypatch):
    about, leaves = describe(Layer(np.ones(2), np.zeros(1)))
    about["tree"]["namedtuple"][0] = "os.path.nothing"
    again = rebuild(about, leaves)
    assert not isinstance(again, Layer)
    assert (again._fields, type(again).__name__) == (("w", "b"), "Layer")
    np.testing.assert_array_equal(again.w, np.ones(2))


def test_no_module_is_imported_and_no_other_class_is_built():
    about, leaves = describe(Layer(np.ones(2), np.zeros(1)))
    sys.modules.pop("antigravity", None)
    for module, name in (("antigravity", "fly"), ("builtins", "tuple"), ("subprocess", "Popen")):
        about["tree"]["namedtuple"] = [module, name]
        assert rebuild(about, leaves)._fields == ("w", "b")
    assert "antigravity" not in sys.modules


def test_nodes_of_another_library_need_a_tree_like_them():
    state = nnx.state(nnx.Linear(2, 3, rngs=nnx.Rngs(0)))
    about, leaves = describe(state)
    with pytest.raises(ValueError, match=r"hold a flax\.\S*State, which a file does not keep: .* as like="):
        rebuild(about, leaves)
    again = rebuild(about, leaves, state)
    assert jax.tree.structure(again) == jax.tree.structure(state)
    with pytest.raises(ValueError, match="like has 1 leaves where 2 were saved"):
        rebuild(about, leaves, {"w": 1})


@pytest.mark.parametrize("leaf", [jax.random.key(0), "text", object()], ids=["key", "text", "object"])
def test_only_numbers_are_saved(leaf):
    with pytest.raises(TypeError, match="only numbers can be saved; the parameters hold"):
        describe({"w": leaf})


def test_half_precision_is_a_number():
    _, leaves = describe({"w": jnp.ones(2, jnp.bfloat16), "on": np.array(True)})
    assert [leaf.dtype.name for leaf in leaves] == ["bool", "bfloat16"]
