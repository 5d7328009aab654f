"""Runs on what a DataLoader of torch gives, where torch is installed: CI does."""

import jax
import numpy as np
import pytest

import jaxgd

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.slow

INPUTS = np.random.default_rng(0).normal(size=(90, 5)).astype(np.float32)
LABELS = (INPUTS[:, 0] > 0).astype(np.int64)


def loader(**options):
    dataset = torch.utils.data.TensorDataset(torch.tensor(INPUTS), torch.tensor(LABELS))
    order = torch.Generator().manual_seed(0)
    return torch.utils.data.DataLoader(dataset, 8, shuffle=True, generator=order, **options)


def train(batches, **options):
    problem = jaxgd.classification(jaxgd.mlp([5, 8, 2]), None, (INPUTS[:20], LABELS[:20]))
    trainer = jaxgd.trainer(problem, jaxgd.adam(0.01), 8)
    return jaxgd.train(trainer, jax.random.key(3), batches=batches, progress=False, **options)


def assert_same(found, wanted):
    for name, column in wanted.history.items():
        np.testing.assert_array_equal(found.history[name], column, err_msg=name)


def test_batches_are_those_that_it_gives():
    given = [tuple(np.asarray(part) for part in batch) for batch in loader()]
    assert_same(train(loader(), epochs=1), train(given, epochs=1))


def test_a_run_that_goes_on_reads_it_again():
    before = train(loader(), epochs=2)
    with pytest.warns(UserWarning, match="24 of its batches have been read again"):
        after = train(loader(), epochs=3, start=before)
    assert_same(after, train(loader(), epochs=3))


def test_another_process_loads():
    apart = loader(num_workers=1, multiprocessing_context="spawn")
    assert_same(train(apart, epochs=2), train(loader(), epochs=2))
