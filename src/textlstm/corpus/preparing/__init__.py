"""From labelled rows to a prepared corpus on disk: check, split, tokenise, store, and the data card."""
