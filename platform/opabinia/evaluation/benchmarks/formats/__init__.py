"""Readers of the files in which benchmarks are published: parquet with pictures in it, JSONL, and tables of text."""
