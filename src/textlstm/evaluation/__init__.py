"""How good a model is, how sure one can be of that, and the report that says so."""
