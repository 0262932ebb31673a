"""What trains in which stage: the parts of a model, the stages, and the published recipes."""
