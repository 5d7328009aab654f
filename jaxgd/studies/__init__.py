"""Studies: questions that many training runs answer together, such as which batch size to use."""
