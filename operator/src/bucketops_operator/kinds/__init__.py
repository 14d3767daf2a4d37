"""The phase machine of each kind: a pure function from spec, history and time to what should be."""
