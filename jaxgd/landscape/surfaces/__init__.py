"""Test functions of two or more variables: minima, saddles, paths on them."""
