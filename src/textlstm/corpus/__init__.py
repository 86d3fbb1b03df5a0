"""Labelled rows: reading, checking, splitting, and the prepared corpus on disk."""
