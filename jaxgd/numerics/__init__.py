"""Sums, norms and dtypes, as exact as the numbers allow."""
