"""Training material: corpora of recordings, random treatments, pairs and shards of them."""
