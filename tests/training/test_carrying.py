"""Loops over a state: those of `jax.lax`, with the state packed at their door alone."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxgd
from jaxgd.training import carrying
from jaxgd.training.fitting import begin_run
from jaxgd.training.trainers import measured_names

ROWS = np.random.default_rng(0).normal(size=(12, 3)).astype(np.float32)
PROBLEM = jaxgd.regression(jaxgd.linear(3, 1), (ROWS, ROWS[:, 0]))


def first_state(**options):
    trainer = jaxgd.trainer(PROBLEM, jaxgd.adam(0.1), 4, **options)
    trainer = jaxgd.early_stopping(trainer, 1, monitor="train_loss")
    return begin_run(trainer, jax.random.key(0), 2).state


def counted(state):
    sums = state.sums._replace(position=state.sums.position + 2)
    return state._replace(updates=state.updates + 1, sums=sums)


LOOPS = {
    "fori_loop": lambda state: carrying.fori_loop(0, 3, lambda _, state: counted(state), state),
    "while_loop": lambda state: carrying.while_loop(lambda state: state.updates < 3, counted, state),
    "scan": lambda state: carrying.scan(lambda state, _: (counted(state), 0), state, jnp.arange(3))[0],
    "cond": lambda state: carrying.cond(state.updates == 0, lambda s: counted(counted(counted(s))), state),
    "switch": lambda state: carrying.switch(
        state.updates + 1, [lambda s: s, lambda s: counted(counted(counted(s)))], state
    ),
    "where": lambda state: carrying.where(state.updates == 0, counted(counted(counted(state))), state),
}


@pytest.mark.parametrize("options", [{}, {"microbatch": 2}], ids=str)
@pytest.mark.parametrize("loop", LOOPS.values(), ids=LOOPS)
def test_what_loops_carry_comes_out_as_it_went_in(loop, options):
    state = first_state(**options)
    moved = jax.jit(loop)(state)
    assert (int(moved.updates), int(moved.sums.position)) == (3, 6)
    back = moved._replace(updates=state.updates, sums=state.sums, key=0)
    assert jax.tree.structure(moved) == jax.tree.structure(state)
    jax.tree.map(np.testing.assert_array_equal, back, state._replace(key=0))


def test_a_state_that_goes_on_unchanged_is_not_packed_anew():
    def inner(_, state):
        return carrying.cond(state.epoch == 0, lambda state: state._replace(params=state.params), state)

    jaxpr = jax.make_jaxpr(lambda state: carrying.fori_loop(0, state.updates, inner, state))(first_state())
    body = next(e for e in jaxpr.jaxpr.eqns if e.primitive.name == "while").params["body_jaxpr"]
    assert "cond" in str(body)
    assert not {"concatenate", "stack"} & {equation.primitive.name for equation in body.jaxpr.eqns}


def test_a_history_is_two_arrays_whatever_is_measured():
    trainer = jaxgd.trainer(PROBLEM, jaxgd.adam(0.1), 4)
    watched = jaxgd.average_weights(jaxgd.early_stopping(trainer, 1, monitor="train_loss"))
    for each in (trainer, watched):
        rows = carrying.empty_rows(each, 3)
        rows = rows._replace(measured=jnp.arange(float(rows.measured.size)).reshape(3, -1))
        history = carrying.as_history(each, rows)
        assert len(jax.tree.leaves(rows)) == 2
        assert {*history} == {*measured_names(each), "updates", "examples"}
        back = carrying.as_history(each, carrying.as_rows(history))
        jax.tree.map(np.testing.assert_array_equal, back, history)
