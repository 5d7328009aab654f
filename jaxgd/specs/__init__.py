"""Names and files become objects: problems, models, optimizers, sweeps."""
