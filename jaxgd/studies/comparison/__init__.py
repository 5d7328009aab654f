"""Batch, stochastic and mini-batch gradient descent side by side."""
