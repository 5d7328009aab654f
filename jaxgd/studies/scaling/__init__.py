"""Updates to a goal by batch size: measured, with intervals, and what follows from them."""
