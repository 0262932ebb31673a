"""Studies: what a paper found, and whether a sweep of ours finds it too."""
