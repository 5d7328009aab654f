"""Engines that exist: Dask's workers, of which one is killed, and loky's."""

import os
import subprocess
import sys
from pathlib import Path

import jax
import own_sweep
import pytest

import jaxgd
from jaxgd.sweeps.planning import cutting

HERE = Path(__file__).parent


@pytest.fixture
def workers_see_this(monkeypatch, tmp_path):
    """Workers find `own_sweep`, keep programs in a folder of their own, and have one device."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(HERE), os.environ.get("PYTHONPATH")])))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv(own_sweep.MARK, str(tmp_path / "mark"))
    monkeypatch.setenv(own_sweep.COMPILED, str(tmp_path / "compiled"))
    monkeypatch.setattr(cutting, "_LEAST_SECONDS", 1e-6)
    before = jax.config.jax_compilation_cache_dir
    jax.config.update("jax_compilation_cache_dir", None)
    yield
    jax.config.update("jax_compilation_cache_dir", before)


@pytest.fixture
def dask(workers_see_this):
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=":0", host="127.0.0.1"
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield cluster, client


@pytest.mark.slow
def test_dask_with_a_worker_that_is_killed(dask, tmp_path):
    """Bits are those of this process, and each program was compiled once."""
    _, client = dask
    make = own_sweep.gated("kill", os.getpid())
    result = own_sweep.train(make, executor=client.get_executor(), folder=tmp_path / "out")
    assert (tmp_path / "mark").exists()
    own_sweep.same(result, own_sweep.here(result, make))
    assert "failures" not in result.dataset.attrs
    programs = {program.recipe for program in result.plan.groups}
    found = (tmp_path / "compiled").read_text().split()
    assert found.count("misses") == len(programs) < found.count("hits")


@pytest.mark.slow
def test_a_unit_that_always_raises_on_dask(dask, tmp_path):
    _, client = dask
    make = own_sweep.gated("raise", os.getpid())
    with pytest.warns(UserWarning, match="a cosmic ray"):
        result = own_sweep.train(make, executor=client.get_executor())
    assert set(result.dataset.status.values.ravel()) == {"failed"}
    assert "a cosmic ray" in result.dataset.attrs["failures"][0]["error"]


SPEC = """
data = "digits"
epochs = 2
fixed = { optimizer = "adam", model = "linear" }
axes = { batch_size = [64, 256], learning_rate = [0.001, 0.01], seed = [0, 1] }
"""


@pytest.mark.slow
def test_the_command_on_dask(dask, tmp_path):
    cluster, _ = dask
    (tmp_path / "spec.toml").write_text(SPEC)
    place = cluster.scheduler_address.removeprefix("tcp://")
    command = [sys.executable, "-m", "jaxgd", "sweep", "spec.toml", "--out", "out"]
    done = subprocess.run(
        [*command, "--executor", f"dask://{place}"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "8 completed" in done.stdout
    assert "Best valid_accuracy" in done.stdout
    assert jaxgd.load(tmp_path / "out").num_ended == 8


@pytest.mark.slow
def test_loky(workers_see_this, tmp_path):
    loky = pytest.importorskip("loky")
    executor = loky.get_reusable_executor(max_workers=2)
    try:
        factor = 0.5  # a function that is no module's, with what it closes over
        result = own_sweep.train(
            lambda hp: jaxgd.trainer(own_sweep.PROBLEM, jaxgd.sgd(factor * hp.learning_rate), hp.batch_size),
            executor=executor,
        )
    finally:
        executor.shutdown(kill_workers=True)
    assert result.num_ended == 24
