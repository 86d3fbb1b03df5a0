"""spaCy's tokenizer, each distinct word cut once."""
