"""Rows in files of every format: readers, writers, rejects."""
