"""Figures of the study. Each takes a table or matrices and returns a Matplotlib figure; scripts save them."""
