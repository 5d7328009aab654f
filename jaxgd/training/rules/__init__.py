"""Rules that end, slow or average a run."""
