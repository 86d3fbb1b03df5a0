"""The optimisation loop. Importable with torch alone."""
