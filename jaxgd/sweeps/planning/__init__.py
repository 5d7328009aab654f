"""Which programs a sweep becomes, and what they cost."""
