"""Folders that hold a sweep, whole or not at all."""
