"""Networks and the linear expert: tensors in, tensors out. Importable with torch alone."""
