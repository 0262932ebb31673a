"""Tasks of lmms-eval (extra `eval`), answered by checkpoints of this library."""
