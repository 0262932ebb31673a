"""Checkpoints in the layout of the released Eagle models (Shi et al. 2024)."""
