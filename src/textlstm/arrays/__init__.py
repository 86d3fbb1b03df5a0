"""Ragged arrays, packed strings, hashes and sparse rows on numpy and pyarrow alone."""
