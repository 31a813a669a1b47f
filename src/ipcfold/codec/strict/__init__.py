"""Strict JSON: it takes no value for one of another type, in both directions."""
