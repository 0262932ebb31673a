"""Encode once, train many: the table of precomputed encoder features."""
