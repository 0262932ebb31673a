"""Records as batches: order, grouping, packing and exact resuming."""
