"""Units of a sweep that workers of an engine train: what travels, what a worker does, who hands them out."""
