"""Studies: questions that many training runs answer together, such as which optimizer and batch size to use."""
