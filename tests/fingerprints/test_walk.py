"""State outside the arguments: each function has its own, or is an error that names it."""

import collections
import dataclasses
import functools
import sys
import types
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgd.pytrees import Static, as_static, check_unchanged

SCALE = 1.0
TABLE = {"scale": 1.0, "deep": [{"scale": 1.0}]}
SPACE = SimpleNamespace(scale=1.0, unread=0, inner=SimpleNamespace(scale=1.0))
WEIGHTS = np.ones(3)
MANY = np.ones(10_000)
DEFAULTS = collections.defaultdict(lambda: 1.0, scale=1.0)
SETTINGS = types.ModuleType("settings_of_the_test")


class Conf:
    scale = 1.0


class Slotted:
    __slots__ = ("scale",)


class Dotted:
    """As ConfigDict and its like: attributes that are entries."""

    def __init__(self):
        object.__setattr__(self, "fields", {"scale": 1.0})

    def __getattr__(self, name):
        return self.fields[name]


@dataclasses.dataclass(unsafe_hash=True)
class Hashable:
    scale: float = 1.0


class Layer:
    def __init__(self):
        self.scale, self.results = 1.0, []

    def __call__(self, x):
        return self.factor * x

    def method(self, x):
        return self.factor * x

    @property
    def factor(self):
        return self.scale


def read_scale(x):
    return SCALE * x


def read_of(config, x):
    return config.scale * x


SLOTTED, DOTTED, HASHABLE, LAYER, CONF = Slotted(), Dotted(), Hashable(), Layer(), Conf()


def set_global(value):
    globals()["SCALE"] = value


def set_imported(value):
    sys.modules["settings_of_the_test"].scale = value


def imports_when_called(x):
    from settings_of_the_test import scale

    return scale * x


def by_name(x):
    return getattr(SPACE, "sca" + "le") * x


def by_nonlocal():
    scale = 1.0

    def change(value):
        nonlocal scale
        scale = value

    return (lambda x: scale * x), change


def by_partial():
    bound = functools.partial(lambda x, scale: scale * x, scale=1.0)
    return bound, lambda value: bound.keywords.__setitem__("scale", value)


def with_attribute(x):
    return with_attribute.scale * x


READ_NONLOCAL, SET_NONLOCAL = by_nonlocal()
READ_BOUND, SET_BOUND = by_partial()
# Each reads a scale of 1 and has a name for it; how the scale is set.
VARIANTS = {
    "global": (lambda: lambda x: SCALE * x, "SCALE", set_global),
    "global of a function called": (lambda: lambda x: read_scale(x), "SCALE", set_global),
    "function of the module": (lambda: read_scale, "SCALE", set_global),
    "entry": (lambda: lambda x: TABLE["scale"] * x, "TABLE['scale']",
              lambda v: TABLE.__setitem__("scale", v)),
    "entry within": (lambda: lambda x: TABLE["deep"][0]["scale"] * x, "TABLE['deep'][0]['scale']",
                     lambda v: TABLE["deep"][0].__setitem__("scale", v)),
    "method of a dict": (lambda: functools.partial(lambda get, x: get("scale") * x, TABLE.get), "'scale'",
                         lambda v: TABLE.__setitem__("scale", v)),
    "defaultdict": (lambda: lambda x: DEFAULTS["scale"] * x, "DEFAULTS['scale']",
                    lambda v: DEFAULTS.__setitem__("scale", v)),
    "namespace": (lambda: lambda x: SPACE.scale * x, "SPACE.scale", lambda v: setattr(SPACE, "scale", v)),
    "namespace within": (lambda: lambda x: SPACE.inner.scale * x, "SPACE.inner.scale",
                         lambda v: setattr(SPACE.inner, "scale", v)),
    "namespace in a closure": (lambda: (lambda space: lambda x: read_of(space, x))(SPACE), "space.scale",
                               lambda v: setattr(SPACE, "scale", v)),
    "getattr": (lambda: by_name, "SPACE.scale", lambda v: setattr(SPACE, "scale", v)),
    "vars": (lambda: lambda x: vars(SPACE)["scale"] * x, "SPACE.scale", lambda v: setattr(SPACE, "scale", v)),
    "class": (lambda: lambda x: Conf.scale * x, "Conf.scale", lambda v: setattr(Conf, "scale", v)),
    "attribute that hides its class's": (lambda: lambda x: CONF.scale * x, "CONF.scale",
                                         lambda v: setattr(CONF, "scale", v)),
    "slot": (lambda: lambda x: SLOTTED.scale * x, "SLOTTED.scale", lambda v: setattr(SLOTTED, "scale", v)),
    "attributes that are entries": (lambda: lambda x: DOTTED.scale * x, "DOTTED.fields['scale']",
                                    lambda v: DOTTED.fields.__setitem__("scale", v)),
    "object with a hash": (lambda: lambda x: HASHABLE.scale * x, "HASHABLE.scale",
                           lambda v: setattr(HASHABLE, "scale", v)),
    "object that is called": (lambda: LAYER, "Layer reads scale", lambda v: setattr(LAYER, "scale", v)),
    "bound method": (lambda: LAYER.method, "scale", lambda v: setattr(LAYER, "scale", v)),
    "jitted": (lambda: JITTED, "SPACE.scale", lambda v: setattr(SPACE, "scale", v)),
    "calls a jitted function": (lambda: lambda x: JITTED(x), "SPACE.scale",
                                lambda v: setattr(SPACE, "scale", v)),
    "jitted anew": (lambda: jax.jit(read_scale), "SCALE", set_global),
    "module": (lambda: lambda x: SETTINGS.scale * x, "SETTINGS.scale", set_imported),
    "module imported when called": (lambda: imports_when_called, "settings_of_the_test.scale", set_imported),
    "array changed in place": (lambda: lambda x: WEIGHTS[0] * x, "WEIGHTS, which was changed",
                               lambda v: WEIGHTS.__setitem__(slice(None), v)),
    "large array": (lambda: lambda x: MANY[1] * x, "MANY, which was changed",
                    lambda v: MANY.__setitem__(slice(None), v)),
    "nonlocal": (lambda: READ_NONLOCAL, "scale", SET_NONLOCAL),
    "partial": (lambda: READ_BOUND, "['scale']", SET_BOUND),
    "function's attribute": (lambda: with_attribute, "with_attribute reads scale",
                             lambda v: setattr(with_attribute, "scale", v)),
    "keyword default": (lambda: keyword, "['scale']",
                        lambda v: keyword.__kwdefaults__.__setitem__("scale", v)),
}  # fmt: skip


JITTED = jax.jit(lambda x: SPACE.scale * x)


def keyword(x, *, scale=1.0):
    return scale * x


@pytest.fixture(autouse=True)
def ones(monkeypatch):
    monkeypatch.setitem(sys.modules, "settings_of_the_test", SETTINGS)
    yield
    for _, _, change in VARIANTS.values():
        change(1.0)
    vars(CONF).pop("scale", None)


run = jax.jit(lambda static, x: static(x))


@pytest.mark.parametrize(("build", "name", "change"), VARIANTS.values(), ids=VARIANTS)
def test_every_function_has_its_own_value(build, name, change):
    change(1.0)
    vars(CONF).pop("scale", None)
    one = Static(build())
    assert hash(one) == hash(Static(one.value))
    assert Static(build()) == one or hasattr(one.value, "lower")  # a program is equal to itself alone
    assert run(one, 2.0) == 2.0
    change(10.0)
    with pytest.raises(ValueError, match="which was") as error:
        check_unchanged({"f": one})
    assert name in str(error.value)
    assert "\n" not in str(error.value)
    other = Static(build())
    assert other != one
    assert run(other, 2.0) == 20.0


def test_a_trace_of_what_has_changed_is_an_error_and_keeps_nothing(monkeypatch):
    late = Static(lambda x: 3 * SCALE * x)
    monkeypatch.setitem(globals(), "SCALE", 10.0)
    with pytest.raises(ValueError, match=r"<lambda> reads SCALE, which was 1.0 then and is 10.0 now"):
        run(late, 1.0)
    monkeypatch.setitem(globals(), "SCALE", 1.0)
    assert run(late, 1.0) == 3


def test_a_value_that_comes_back_is_no_change(monkeypatch):
    static = Static(lambda x: TABLE["scale"] * x)
    monkeypatch.setitem(globals(), "TABLE", {"scale": 1.0, "deep": [{"scale": 1.0}]})
    static.check()


@pytest.mark.parametrize("build", [
    lambda: lambda x: SPACE.scale * x,
    lambda: LAYER.method,
    lambda: lambda x: LAYER(x),
])  # fmt: skip
def test_what_no_code_reads_does_not_count(build):
    before = Static(build())
    SPACE.unread += 1
    LAYER.results.append(3)
    before.check()
    assert Static(build()) == before


def test_what_a_function_changes_itself_does_not_count():
    calls, counts, seen = [], {"n": 0}, set()

    class Counting:
        number = 0

        def __call__(self, x):
            self.number += 1
            return x

    counting = Counting()

    def loss(x):
        calls.append(1)
        counts["n"] += 1
        seen.add(len(calls))
        return counting(x)

    one, other = Static(loss), Static(loss)
    one(1.0)
    one(1.0)
    other(1.0)
    check_unchanged([one, other])
    assert Static(loss) == one
    assert (len(calls), counts["n"], counting.number) == (3, 3, 3)


def test_a_default_that_a_call_fills_in_does_not_count():
    table = collections.defaultdict(lambda: 2.0)
    static = Static(lambda x: table["new"] * x)
    assert static(1.0) == 2.0
    assert static(1.0) == 2.0


def test_equal_objects_with_a_hash_share_a_structure():
    one, other = Hashable(), Hashable()
    scaled_by = lambda space: lambda x: space.scale * x  # noqa: E731
    assert Static(scaled_by(one)) == Static(scaled_by(other))


def test_functions_that_call_each_other_and_themselves():
    def even(n):
        return n == 0 or odd(n - 1)

    def odd(n):
        return n != 0 and even(n - 1)

    assert Static(even) == Static(even)
    assert Static(even) != Static(odd)
    many = [lambda x: x]
    for _ in range(60):  # each calls the one before twice: as a tree this would be without end
        many.append((lambda f: lambda x: f(x) + f(x))(many[-1]))
    assert hash(Static(many[-1])) == hash(Static(many[-1]))


def test_the_function_of_a_partial_is_read_and_its_arguments_are_leaves():
    def scaled(weight, x, keys=None):
        return SPACE.scale * weight * x

    bind = lambda weight: as_static(jax.tree_util.Partial(scaled, weight))  # noqa: E731
    one = bind(2.0)
    assert jax.tree.leaves(one) == [2.0]
    assert jax.tree.structure(one) == jax.tree.structure(bind(3.0))
    assert run(one, 1.0) == 2.0
    SPACE.scale = 10.0
    with pytest.raises(ValueError, match=r"scaled reads SPACE.scale"):
        check_unchanged(one)
    assert jax.tree.structure(one) != jax.tree.structure(bind(2.0))
    assert run(bind(2.0), 1.0) == 20.0
    assert as_static(jax.tree_util.Partial(jnp.add, 1.0)).func is jnp.add


def test_tracers_in_attributes_are_found():
    found = []

    def traced(scale):
        space = SimpleNamespace(scale=scale)
        found.append(len(Static(lambda x: space.scale * x).tracers))
        return scale

    jax.jit(traced)(1.0)
    assert found == [1]
