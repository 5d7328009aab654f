"""TPUs that are described by name."""

import os
import re

import jax
import pytest

from jaxgd.machine import topologies
from jaxgd.machine.devices import free_bytes, mesh_of


class Described:
    """A device of a topology: it has a kind, and no memory that could be asked."""

    platform, device_kind = "tpu", "TPU v5 lite"

    def memory_stats(self):
        raise jax.errors.JaxRuntimeError(
            "INVALID_ARGUMENT: MemoryStats is only supported for addressable devices."
        )


@pytest.fixture
def environment(monkeypatch):
    """The environment, as it was before and is again."""
    monkeypatch.setattr(os, "environ", dict(os.environ))
    monkeypatch.setattr(topologies, "find_spec", lambda name: object())


def test_memory_of_a_described_device():
    device = Described()
    assert free_bytes([device] * 16) == 15.75 * 2**30
    device.device_kind = "TPU v99"
    assert free_bytes([device]) == 0  # not known: a plan is made as if all fitted


@pytest.mark.parametrize("example", [tpu.example for tpu in topologies.TPUS.values()])
def test_examples_are_topologies(example):
    kind, chips = topologies.checked_topology(example)
    assert example == f"{kind}:{'x'.join(map(str, chips))}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "devices is ''; a kind of TPU and its chips are needed, such as v2:2x2"),
        ("v5e", "devices is 'v5e'; a kind of TPU"),
        ("v5e:16", "devices is 'v5e:16'; a kind of TPU"),
        ("v5e:0x4", "devices is 'v5e:0x4'; a kind of TPU"),
        ("v5e:4x٤", "a kind of TPU and its chips"),
        ("v5e:4x4x4x4", "a kind of TPU and its chips"),
        ("v5:4x4", "unknown kind of TPU 'v5'; did you mean 'v5p'?"),
        ("h100:2x4", "unknown kind of TPU 'h100' (known: v2, v3, v4, v5e, v5p, v6e, tpu7x)"),
        ("v5e:4x4x4", "a v5e has 2 axes of 16 chips at most"),
        ("v5e:2x32", "a v5e has 2 axes of 16 chips at most"),
        ("v4:32x32x32", "a v4 has 3 axes of 64 chips at most, 16,384 chips in all"),
    ],
)
def test_what_is_no_topology(text, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        topologies.described_devices(text)


def test_libtpu_is_not_installed(monkeypatch):
    monkeypatch.setattr(topologies, "find_spec", lambda name: None)
    monkeypatch.delenv("TPU_LIBRARY_PATH", raising=False)
    with pytest.raises(ImportError, match=r'libtpu.* is missing: pip install "jaxgd\[tpu-plan\]"'):
        topologies.described_devices("v5e:4x4")


def test_what_jax_is_asked_for(environment, monkeypatch):
    from jax.experimental import topologies as of_jax

    asked = []

    def describe(name, platform, **options):
        asked.append((name, platform, options))
        return of_jax.TopologyDescription(["a device"])

    monkeypatch.setattr(of_jax, "get_topology_desc", describe)
    os.environ["TPU_WORKER_HOSTNAMES"] = "mine"
    for text in ("v5e:4x4", "v4:4x4x4", "v6e:1x1"):
        assert topologies.described_devices(text) == ["a device"]
    assert asked == [
        ("v5e:4x4", "tpu", {}),
        ("v4:4x4x4", "tpu", {"chip_config_name": "megacore"}),
        ("v6e:1x1", "tpu", {"chips_per_host_bounds": [1, 1, 1]}),
    ]
    assert os.environ["TPU_SKIP_MDS_QUERY"] == "1"
    assert os.environ["TPU_WORKER_HOSTNAMES"] == "mine"


def test_what_jax_refuses(environment, monkeypatch):
    from jax.experimental import topologies as of_jax

    def refuse(name, platform, **options):
        raise jax.errors.JaxRuntimeError("INVALID_ARGUMENT: v5e:3x3 is not divisible\nby 2x2")

    monkeypatch.setattr(of_jax, "get_topology_desc", refuse)
    with pytest.raises(ValueError, match=r"^devices is 'v5e:3x3': v5e:3x3 is not divisible$"):
        topologies.described_devices("v5e:3x3")


def test_a_mesh_has_as_many_devices_as_there_are_in_their_order():
    devices = [Described() for _ in range(5)]
    assert mesh_of(devices).devices.tolist() == devices
