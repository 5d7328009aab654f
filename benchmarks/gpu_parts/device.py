"""What the parts run on."""

import os
from typing import Any

import jax

from jaxgd.machine.host import num_cores, versions


def description() -> dict[str, Any]:
    """Device, memory, versions, and the settings of JAX and XLA on which numbers depend."""
    device = jax.devices()[0]
    statistics = device.memory_stats() or {}
    return {
        "backend": jax.default_backend(),
        "kind": device.device_kind,
        "devices": jax.device_count(),
        "memory, GB": round(statistics.get("bytes_limit", 0) / 1e9, 1),
        "cores": num_cores(),
        "versions": versions(),
        "jax_default_matmul_precision": jax.config.jax_default_matmul_precision,
        "XLA_FLAGS": os.environ.get("XLA_FLAGS", ""),
    }
