"""What is done with trees: parameters, masks, parts of an optimizer by path, equality."""
