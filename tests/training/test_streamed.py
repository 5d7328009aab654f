"""Runs on batches that come one after the other: the numbers of `fit`, and nothing lost."""

import itertools
import pickle
import signal

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxgd
from jaxgd.training import feeding, streamed

KEY = jax.random.key(3)


def numbers(num=96, seed=0):
    random = np.random.default_rng(seed)
    inputs = random.normal(size=(num, 5)).astype(np.float32)
    return inputs, (inputs @ random.normal(size=(5, 3))).argmax(axis=1).astype(np.int32)


DATA, VALID = numbers(), numbers(40, 1)
MODEL = jaxgd.mlp([5, 8, 3])


def trainers(
    size=8, num=96, optimizer=None, problem=jaxgd.classification, model=MODEL, rules=None, **options
):
    """The trainer of data in memory, and that of batches."""
    train = numbers(num)
    made = [
        jaxgd.trainer(problem(model, data, VALID), optimizer or jaxgd.adam(0.01), size, **options)
        for data in (train, None)
    ]
    return made if rules is None else [rules(trainer) for trainer in made]


def batches_of_fit(trainer, key=KEY):
    """A loader that gives the batches in the order of `fit`."""
    return jaxgd.datasets.batches(trainer.problem.train, trainer.examples_per_batch, key)


def assert_same(found, wanted):
    assert set(found.history) == set(wanted.history)
    leaves = map(jax.tree_util.tree_leaves_with_path, (tuple(found), tuple(wanted)))
    for (path, left), (_, right) in zip(*leaves, strict=True):
        if jnp.issubdtype(left.dtype, jax.dtypes.prng_key):
            left, right = map(jax.random.key_data, (left, right))
        np.testing.assert_array_equal(np.asarray(left), np.asarray(right), err_msg=jax.tree_util.keystr(path))


CASES = {
    "even": {},
    "a short last batch": {"num": 90},
    "a short last batch is dropped": {"num": 90, "remainder": "drop"},
    "batches of one": {"size": 1, "num": 30},
    "one batch": {"size": 96},
    "micro-batches": {"size": 12, "microbatch": 4},
    "micro-batches that do not divide": {"size": 8, "num": 90, "microbatch": 3},
    "momentum": {"optimizer": jaxgd.momentum(0.1)},
    "dropout": {"model": jaxgd.mlp([5, 8, 3], dropout=0.3), "num": 90},
    "no norms": {"grad_norm": False},
    "an average": {"rules": lambda trainer: jaxgd.average_weights(trainer, 0.9)},
    "patience": {"rules": lambda trainer: jaxgd.early_stopping(trainer, patience=1, min_delta=1.0)},
    "a budget of updates": {"rules": lambda trainer: jaxgd.budget(trainer, updates=17)},
    "a budget of examples": {"num": 90, "rules": lambda trainer: jaxgd.budget(trainer, examples=150)},
    "it diverges": {"optimizer": jaxgd.sgd(1e38)},
}


@pytest.mark.parametrize("case", CASES)
def test_numbers_are_those_of_fit(case):
    memory, stream = trainers(**CASES[case])
    wanted = jaxgd.fit(memory, KEY, 4)
    found = jaxgd.train(stream, KEY, 4, batches=batches_of_fit(memory), progress=False)
    assert_same(found, wanted)


@pytest.mark.parametrize("limit", [1, 3, 1000])
def test_numbers_do_not_depend_on_how_many_batches_are_read_together(limit, monkeypatch):
    monkeypatch.setattr(streamed.Stream, "_pace", lambda self, seconds: setattr(self.batches, "limit", limit))
    memory, stream = trainers(num=90)
    found = jaxgd.train(stream, KEY, 3, batches=batches_of_fit(memory), progress=False)
    assert_same(found, jaxgd.fit(memory, KEY, 3))


@pytest.mark.parametrize("num", [96, 90])
def test_coupled_batches_are_never_padded(num):
    def loss(params, batch):
        outputs = batch[0] @ params
        return jnp.square(
            outputs - outputs.mean(axis=0, keepdims=True) - batch[1][:, None].astype(np.float32)
        ).sum(axis=1)

    def made(train):
        init = lambda key: jnp.ones((5, 3))  # noqa: E731
        return jaxgd.trainer(jaxgd.Problem(init, loss, train, VALID, coupled=True), jaxgd.sgd(0.01), 8)

    memory = made(numbers(num))
    found = jaxgd.train(made(None), KEY, 3, batches=batches_of_fit(memory), progress=False)
    assert_same(found, jaxgd.fit(memory, KEY, 3))


def test_a_coupled_loss_that_nobody_declared_is_refused():
    def loss(params, batch):
        return jnp.square(batch[0] @ params - (batch[0] @ params).mean()).sum(axis=1)

    problem = jaxgd.Problem(lambda key: jnp.ones((5, 2)), loss, None)
    with pytest.raises(ValueError, match="changes when other examples do"):
        jaxgd.train(jaxgd.trainer(problem, jaxgd.sgd(0.1), 96), KEY, 1, batches=[DATA], progress=False)


def test_a_run_of_so_many_updates_ends_inside_an_epoch():
    memory, stream = trainers()
    found = jaxgd.train(stream, KEY, updates=17, batches=batches_of_fit(memory), progress=False)
    wanted = jaxgd.fit(jaxgd.budget(memory, updates=17), KEY, 2)
    for left, right in zip(*map(jax.tree.leaves, (found.state.params, wanted.state.params)), strict=True):
        np.testing.assert_array_equal(left, right)
    assert found.history["updates"].tolist() == [12, 17]
    np.testing.assert_array_equal(found.history["valid_loss"], wanted.history["valid_loss"])


def test_many_epochs_of_a_run_whose_number_of_them_is_not_known(monkeypatch):
    monkeypatch.setattr(streamed, "_ROWS", 2)
    memory, stream = trainers(size=48)
    found = jaxgd.train(stream, KEY, updates=14, batches=batches_of_fit(memory), progress=False)
    wanted = jaxgd.fit(memory, KEY, 7)
    assert_same(found, wanted)


def test_no_more_batches_are_read_than_there_are_updates():
    memory, stream = trainers()
    coming = iter(list(batches_of_fit(memory)))
    jaxgd.train(stream, KEY, updates=5, batches=coming, progress=False)
    assert len(list(coming)) == 12 - 5


@pytest.mark.parametrize("make", [list, iter, lambda given: (batch for batch in given)])
def test_one_pass_of_anything_to_iterate_over(make):
    memory, stream = trainers()
    found = jaxgd.train(stream, KEY, 1, batches=make(list(batches_of_fit(memory))), progress=False)
    assert_same(found, jaxgd.fit(memory, KEY, 1))


class Loader:
    """Batches of an epoch, of a loader that does not say where it is; what it gives it counts."""

    def __init__(self, memory, stop=None):
        self.batches, self.given, self.stop = batches_of_fit(memory), 0, stop

    def __iter__(self):
        for batch in self.batches:
            self.given += 1
            if self.given == self.stop:
                signal.raise_signal(signal.SIGINT)
            yield batch


class WithEpochs(Loader):
    def set_epoch(self, epoch):
        self.batches.set_epoch(epoch)


class WithPlace(Loader):
    def state_dict(self):
        return self.batches.state_dict()

    def load_state_dict(self, place):
        self.batches.load_state_dict(place)


RESUMED = {  # how many batches are read after an interruption at the 17th, of 36, where 12 are a pass
    Loader: (15 + 21, "15 of its batches"),
    WithEpochs: (3 + 21, "3 of its batches"),
    WithPlace: (21, None),
}


@pytest.mark.usefixtures("default_handlers")
@pytest.mark.parametrize("kind", RESUMED)
def test_an_interrupted_run_goes_on_where_it_was(kind, monkeypatch, recwarn):
    monkeypatch.setattr(streamed.Stream, "_pace", lambda self, seconds: None)
    memory, stream = trainers()
    with pytest.raises(jaxgd.Interrupted, match="interrupted after 15 updates") as caught:
        jaxgd.train(stream, KEY, 3, batches=kind(memory, stop=17), progress=False)
    loader = kind(memory)
    found = jaxgd.train(stream, KEY, 3, batches=loader, start=caught.value.result, progress=False)
    assert_same(found, jaxgd.fit(memory, KEY, 3))
    given, text = RESUMED[kind]
    assert loader.given == given
    assert [str(warning.message) for warning in recwarn] == (
        [] if text is None else [f"batches does not say where it was: {text} have been read again"]
    )


def test_the_place_of_a_loader_survives_pickling():
    memory, stream = trainers()
    made = jaxgd.train(stream, KEY, updates=5, batches=batches_of_fit(memory), progress=False)
    state = made.state._replace(key=None)  # JAX pickles no typed keys
    kept = pickle.loads(pickle.dumps(streamed.StreamedFit(state, made.history, made.place)))
    assert kept.place == made.place == (0, 5, {"epoch": 0, "batches": 5})


def test_a_run_that_is_over_is_given_back():
    memory, stream = trainers()
    wanted = jaxgd.train(stream, KEY, 2, batches=batches_of_fit(memory), progress=False)
    again = jaxgd.train(stream, KEY, 2, batches=[], start=wanted, progress=False)
    assert_same(again, wanted)
    more = jaxgd.train(stream, KEY, 4, batches=batches_of_fit(memory), start=again, progress=False)
    assert_same(more, jaxgd.fit(memory, KEY, 4))


def test_a_new_run_from_the_state_of_another_one():
    memory, stream = trainers()
    first = jaxgd.fit(memory, KEY, 1)
    other = jax.random.key(9)
    found = jaxgd.train(
        stream, other, 2, batches=batches_of_fit(memory, other), start=first.state, progress=False
    )
    assert_same(found, jaxgd.fit(memory, other, 2, start=first.state))


def test_rows_are_logged_as_their_epochs_end(tmp_path):
    memory, stream = trainers()
    rows = []
    jaxgd.train(stream, KEY, 3, batches=batches_of_fit(memory), progress=False, log=rows.append)
    wanted = []
    jaxgd.train(memory, KEY, 3, progress=False, log=wanted.append)
    assert rows == wanted


def test_progress_counts_updates_where_their_number_is_known():
    memory, stream = trainers()
    seen = []
    show = lambda *values: seen.append(values)  # noqa: E731
    jaxgd.train(stream, KEY, 2, batches=batches_of_fit(memory), progress=show)
    assert seen[-1][:2] == (24, 24)
    jaxgd.train(stream, KEY, 2, batches=Loader(memory), progress=show)
    assert seen[-1][:2] == (2, 2)
    assert "left" not in seen[-1][2]


class Raising:
    def __iter__(self):
        yield DATA[0][:8], DATA[1][:8]
        yield DATA[0][8:16], DATA[1][8:16]
        raise RuntimeError("the disk is gone")


def cut(*pieces):
    """Batches of these examples."""
    return [(DATA[0][piece], DATA[1][piece]) for piece in pieces]


EIGHT = slice(0, 8)
BAD = {
    "it raises": (Raising(), "batches raised RuntimeError: the disk is gone (2 updates are .result"),
    "none": ([], "batches gave no batch in epoch 1"),
    "an empty one": (cut(EIGHT, slice(0, 0)), "batch 1 is empty: at least one example is needed (1 updates"),
    "too long": (cut(slice(0, 9)), "batch 0 has 9 examples, more than batch_size, 8"),
    "short in the middle": (
        cut(EIGHT, slice(0, 3), EIGHT),
        "batch 1 has 3 examples and is not the last of its pass: each but the last must have batch_size, 8",
    ),
    "another shape": (
        [*cut(EIGHT), (DATA[0][:8, :4], DATA[1][:8])],
        "batch 1[0] is float32[n, 4], in the first batch it is float32[n, 5]",
    ),
    "another dtype": (
        [*cut(EIGHT), (DATA[0][:8].astype(np.float16), DATA[1][:8])],
        "batch 1[0] is float16[n, 5], in the first batch it is float32[n, 5]",
    ),
    "another structure": (
        [*cut(EIGHT), (DATA[0][:8], DATA[1][:8], DATA[1][:8])],
        "batch 1[2] is int32[n], in the first batch it is not there",
    ),
    "different lengths": (
        [(DATA[0][:8], DATA[1][:7])],
        "differ in length: batch 0[0] has 8, batch 0[1] has 7",
    ),
    "no pair": ([DATA[0][:8]], "batch 0 must be a pair (inputs, labels), got ndarray"),
    "inputs of another shape": (
        [(DATA[0][:8, :1], DATA[1][:8])],
        "the model cannot be applied to batch 0 inputs of shape (8, 1): ",
    ),
    "a label too large": (
        [(DATA[0][:8], DATA[1][:8] + 7)],
        "batch 0 labels must be whole numbers from 0 to 2",
    ),
    "a NaN": ([*cut(EIGHT), (DATA[0][:8] * np.nan, DATA[1][:8])], "batch 1[0] has a NaN or an infinity"),
    "a scalar": ([3.0], "batch 0 must be an array with examples on axis 0"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_batches_are_refused(case):
    _, stream = trainers()
    given, text = BAD[case]
    with pytest.raises(jaxgd.BatchError) as caught:
        jaxgd.train(stream, KEY, 2, batches=given, progress=False)
    assert text in str(caught.value)
    if "updates are" in str(caught.value):
        assert int(caught.value.result.state.updates) > 0
    else:
        assert caught.value.result is None


def test_what_was_trained_until_batches_raised_can_go_on():
    _, stream = trainers(num=16)
    with pytest.raises(jaxgd.BatchError) as caught:
        jaxgd.train(stream, KEY, 1, batches=Raising(), progress=False)
    assert isinstance(caught.value.__cause__, RuntimeError)
    given = [*cut(EIGHT, slice(8, 16)), *cut(slice(16, 24))]
    with pytest.warns(UserWarning, match="2 of its batches have been read again"):
        found = jaxgd.train(stream, KEY, 1, batches=given, start=caught.value.result, progress=False)
    assert_same(found, jaxgd.train(stream, KEY, 1, batches=given, progress=False))


def test_batches_that_end_before_the_updates_that_were_asked_for():
    _, stream = trainers()
    with pytest.raises(
        jaxgd.BatchError, match="batches has ended, cannot be read again, and 9 updates"
    ) as caught:
        jaxgd.train(stream, KEY, updates=9, batches=iter(cut(EIGHT, EIGHT)), progress=False)
    assert int(caught.value.result.state.updates) == 2


WRONG = {
    "an iterator for several epochs": (
        {"epochs": 2, "batches": iter([DATA])},
        "batches is an iterator, which can be read once, and epochs is 2",
    ),
    "nothing to iterate over": ({"epochs": 1, "batches": 3}, "batches must be something to iterate over"),
    "neither epochs nor updates": ({"batches": [DATA]}, "epochs or updates must be given"),
    "no updates": ({"updates": 0, "batches": [DATA]}, "updates must be a whole number, 1 or more"),
    "a sampling": ({"epochs": 1, "batches": [DATA], "sampling": "replacement"}, "sampling is 'replacement'"),
    "data in memory": ({"epochs": 1, "batches": [DATA], "own": True}, "this one has data of its own"),
    "updates alone": ({"epochs": 1, "updates": 3, "own": True}, "updates is for batches"),
    "no batches": ({"epochs": 1}, "the problem has no training data"),
}


@pytest.mark.parametrize("case", WRONG)
def test_arguments_that_are_refused_before_anything_runs(case):
    given, text = dict(WRONG[case][0]), WRONG[case][1]
    options = {"sampling": given.pop("sampling")} if "sampling" in given else {}
    trainer = trainers(**options)[not given.pop("own", False)]
    with pytest.raises((ValueError, TypeError)) as caught:
        jaxgd.train(trainer, KEY, progress=False, **given)
    assert text in str(caught.value)
    assert not isinstance(caught.value, jaxgd.BatchError)


def test_a_problem_without_data_is_called_one():
    assert repr(jaxgd.classification(MODEL, None)).startswith("Problem(no examples, loss=")


@pytest.mark.parametrize("use", [jaxgd.fit, jaxgd.iterate])
def test_a_problem_without_data_says_what_trains_it(use):
    with pytest.raises(ValueError, match="the problem has no training data"):
        use(trainers()[1], KEY, 1)


@pytest.mark.parametrize("size", ["full", 0, lambda epoch: 8])
def test_batch_sizes_of_a_problem_without_data(size):
    with pytest.raises((ValueError, TypeError), match="batch_size must be a whole number"):
        jaxgd.trainer(jaxgd.classification(MODEL, None), jaxgd.sgd(1.0), size)


def test_arrays_of_other_dtypes_are_those_that_jax_makes_of_them():
    memory, stream = trainers()
    given = [
        (inputs.astype(np.float64), labels.astype(np.int64)) for inputs, labels in batches_of_fit(memory)
    ]
    found = jaxgd.train(stream, KEY, 1, batches=given, progress=False)
    assert_same(found, jaxgd.fit(memory, KEY, 1))


def test_two_chunks_of_memory_are_held_whatever_the_number_of_batches(monkeypatch):
    made = []
    empty = feeding.Batches._empty
    monkeypatch.setattr(
        feeding.Batches, "_empty", lambda self, leaf: made.append(empty(self, leaf)) or made[-1]
    )
    memory, stream = trainers()
    jaxgd.train(stream, KEY, 20, batches=batches_of_fit(memory), progress=False)
    assert len(made) == 2 * 2  # of inputs and of labels
    assert sum(array.nbytes for array in made) <= 2 * feeding._MAX_BYTES


@pytest.mark.parametrize("size", [8, 96])
def test_no_chunk_is_filled_while_the_device_may_read_it(size, monkeypatch):
    seen, read = [], feeding.Batches.read

    def watched(self, place):
        for chunk in read(self, place):
            seen.append(id(chunk.rows))
            yield chunk

    monkeypatch.setattr(feeding.Batches, "read", watched)
    memory, stream = trainers(size)
    jaxgd.train(stream, KEY, 5, batches=batches_of_fit(memory), progress=False)
    assert len(seen) >= 5
    assert all(one != other for one, other in itertools.pairwise(seen))
