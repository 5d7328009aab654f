"""What a sweep gives: datasets, rankings, selections, exports."""
