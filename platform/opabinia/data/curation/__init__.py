"""Which records of a data set are trained on: a limit for each source, and shares of categories."""
