"""What the folders of published checkpoints share, whatever family they are of."""
