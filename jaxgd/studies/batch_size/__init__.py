"""What batch size does to a problem: the study, from what it runs to what it says."""
