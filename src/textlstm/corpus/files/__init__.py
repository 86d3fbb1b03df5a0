"""Rows in files: every format read verbatim, checked and bounded, and written so that it reads back."""
