"""Stages, loop, optimiser groups, learning-rate rule and checkpointing."""
