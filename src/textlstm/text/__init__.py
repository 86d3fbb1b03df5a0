"""From text to tokens and parts of speech: the one owner of spaCy."""
