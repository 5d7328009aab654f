"""Reports: what a study found, for people to look at, as text in a terminal or as a page."""
