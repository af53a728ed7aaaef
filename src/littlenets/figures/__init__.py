"""Figures: numbers in, a matplotlib Figure out."""
