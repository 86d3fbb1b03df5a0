"""Batch labelling: every row exactly once."""
