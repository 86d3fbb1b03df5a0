"""Universal part-of-speech tags: spaCy's tagger, and its network computed in large batches."""
