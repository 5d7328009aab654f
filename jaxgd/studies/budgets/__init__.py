"""Batch sizes and methods at equal cost, whatever the cost is counted in. No JAX is run."""
