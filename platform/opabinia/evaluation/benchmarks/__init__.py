"""The published benchmarks of the Cambrian study: what they are, how their files are read, and how they are scored."""
