"""A person's own training function as the runs of a sweep."""
