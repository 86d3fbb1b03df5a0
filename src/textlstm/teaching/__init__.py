"""Teachers: whoever says how probable each label of a row is, so that a small model learns from more than labels."""
