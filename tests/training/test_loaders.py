"""Runs on the batches of other people's loaders, which go on where they were."""

import re
import subprocess
import sys
from pathlib import Path

import grain
import jax
import numpy as np
import pytest

import jaxgd

INPUTS = np.random.default_rng(0).normal(size=(90, 5)).astype(np.float32)
LABELS = (INPUTS[:, 0] > 0).astype(np.int64)


class Source:
    """Examples as Grain asks for them; it compares sources by what they are called."""

    def __len__(self):
        return len(LABELS)

    def __getitem__(self, place):
        return INPUTS[place], LABELS[place]

    def __repr__(self):
        return "Source()"


def of_grain():
    sampler = grain.samplers.IndexSampler(
        len(LABELS), shard_options=grain.sharding.NoSharding(), shuffle=True, num_epochs=1, seed=0
    )
    return grain.DataLoader(
        data_source=Source(), sampler=sampler, operations=[grain.transforms.Batch(8)], worker_count=0
    )


def of_grain_dataset():
    return grain.MapDataset.source(Source()).seed(1).shuffle().to_iter_dataset().batch(8)


def of_torch(**options):
    """Where torch is installed: for the slow tests CI does."""
    data = pytest.importorskip("torch.utils.data")
    tensors = map(pytest.importorskip("torch").tensor, (INPUTS, LABELS))
    order = pytest.importorskip("torch").Generator().manual_seed(0)
    return data.DataLoader(data.TensorDataset(*tensors), 8, shuffle=True, generator=order, **options)


LOADERS = {"grain": of_grain, "a data set of grain": of_grain_dataset}


def train(loader, **options):
    problem = jaxgd.classification(jaxgd.mlp([5, 8, 2]), None, (INPUTS[:20], LABELS[:20]))
    trainer = jaxgd.trainer(problem, jaxgd.adam(0.01), 8)
    return jaxgd.train(trainer, jax.random.key(3), batches=loader, progress=False, **options)


def assert_same(found, wanted):
    for name, column in wanted.history.items():
        np.testing.assert_array_equal(found.history[name], column, err_msg=name)


def in_memory(batches):
    """The run that `fit` does on one pass of these batches."""
    given = [tuple(np.asarray(part) for part in batch) for batch in batches]
    return train(given, epochs=1)


@pytest.mark.parametrize("loader", LOADERS)
def test_batches_of_a_loader_are_those_that_it_gives(loader):
    assert_same(train(LOADERS[loader](), epochs=1), in_memory(LOADERS[loader]()))


@pytest.mark.parametrize("loader", LOADERS)
def test_a_run_goes_on_where_its_loader_was(loader, recwarn):
    make, whole = LOADERS[loader], train(LOADERS[loader](), epochs=1)
    before = train(make(), updates=5)
    after = train(make(), epochs=2, start=before)
    assert not recwarn
    assert before.place[:2] == (0, 5)
    assert after.history["updates"].tolist() == [5, 12]
    np.testing.assert_array_equal(after.state.params[0]["w"], whole.state.params[0]["w"])


@pytest.mark.slow
def test_batches_are_those_that_torch_gives():
    assert_same(train(of_torch(), epochs=1), in_memory(of_torch()))


@pytest.mark.slow
def test_a_run_that_goes_on_reads_a_loader_of_torch_again():
    before = train(of_torch(), epochs=2)
    with pytest.warns(UserWarning, match="24 of its batches have been read again"):
        after = train(of_torch(), epochs=3, start=before)
    assert_same(after, train(of_torch(), epochs=3))


@pytest.mark.slow
def test_another_process_loads():
    apart = of_torch(num_workers=1, multiprocessing_context="spawn")
    assert_same(train(apart, epochs=2), train(of_torch(), epochs=2))


@pytest.mark.slow
def test_a_gigabyte_takes_little_memory():
    """In a process of its own: others' memory would count."""
    script = Path(__file__).parents[2] / "benchmarks" / "batches.py"
    run = subprocess.run(
        [sys.executable, str(script), "--memory"], capture_output=True, text=True, check=True
    )
    size, more = re.fullmatch(r"([0-9.]+) GiB in .*: (-?[0-9]+) MiB more memory, .*\n", run.stdout).groups()
    assert float(size) >= 0.99
    assert int(more) <= 300
