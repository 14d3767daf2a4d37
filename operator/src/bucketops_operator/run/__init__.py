"""`bucketops run`: a resource from a file, by the operator's own reconcile, with the workers on this machine."""
