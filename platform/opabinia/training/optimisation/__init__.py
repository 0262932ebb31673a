"""Parameter groups, their learning rates, and the optimiser with its schedule."""
