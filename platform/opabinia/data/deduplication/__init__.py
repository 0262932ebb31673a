"""Records and pictures that are there twice, within a data set and between it and the benchmarks."""
