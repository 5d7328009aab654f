"""A sweep that is kept in a folder as it goes, and goes on from there."""
