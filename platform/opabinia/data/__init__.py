"""Records, shards and streams: from LLaVA-format JSONL to batches of tokens."""
