"""From the files that others publish to shards with an index, and a report on what is in them."""
