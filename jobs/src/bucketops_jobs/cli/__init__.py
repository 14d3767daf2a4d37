"""`bucketops`: the same work from a laptop, for people."""
