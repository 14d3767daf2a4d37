"""Object storage: the protocol that every kind works with, and its implementations."""
