"""Rules that turn an answer into credit, one file each."""
