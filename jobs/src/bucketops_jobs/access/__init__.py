"""S3Access: one user of a store, its policy and its keys, made, compared again and again, and proved."""
