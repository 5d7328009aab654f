"""Trials: what runs at several batch sizes, learning rates and seeds measured, in one form. No JAX is run."""
