"""From labeled rows to a prepared corpus: checks, splits, tokens in parts, data card."""
