"""The toy world, and the small pretrained encoders and language model shipped with it."""
