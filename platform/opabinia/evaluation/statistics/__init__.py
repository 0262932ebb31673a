"""Whether a difference between scores is one: intervals, paired tests, sample sizes, and how benchmarks go together."""
