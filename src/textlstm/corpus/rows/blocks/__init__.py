"""Rows of well-formed files read many at a time, as columns; odd rows are read by the readers of single rows."""
