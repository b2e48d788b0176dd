"""Generic wrappers below formats: strict JSON, shard indexes, zip, tar, the pickle machine."""
