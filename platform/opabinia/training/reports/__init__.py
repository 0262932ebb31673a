"""What a run tells: progress, scores, checkpoints to look at, and the model card."""
