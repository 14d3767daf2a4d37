"""The bucketops command: operator and workers on this machine, for people at a terminal."""
