"""The bucketops workers: what runs in the pods that the operator starts."""
