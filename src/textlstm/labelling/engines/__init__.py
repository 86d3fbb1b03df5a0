"""Who works on the shards: this machine's processes, or a Ray cluster. `label_shard` does the work."""
