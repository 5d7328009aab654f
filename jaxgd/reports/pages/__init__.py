"""Pages, and what a terminal shows, one module each."""
