"""What lanes are given, what they are on their way, and what they give."""
