"""Programs that run: lanes, segments, devices, the clock."""
