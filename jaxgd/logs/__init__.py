"""Where the rows of runs and sweeps go while they run."""
