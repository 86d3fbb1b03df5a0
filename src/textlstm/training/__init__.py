"""The optimization loop. Importable with torch alone."""
