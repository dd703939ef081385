"""Many recordings: results that can be resumed, shards, and workers on this machine or on others."""
