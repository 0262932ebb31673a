"""Benchmarks, scoring, vision on and off, and the reports that rank trials."""
