"""Which of several cells is best: one procedure, from scores by seed and test row to verdicts. No JAX."""
