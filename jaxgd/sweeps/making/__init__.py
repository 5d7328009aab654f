"""How trainers are made of points: one call for each, or one traced call for many."""
