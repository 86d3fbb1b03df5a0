"""Corrections that come back: which labelled rows a person should look at, and how they join the training rows."""
