"""Linear models on TF-IDF n-grams: the expert beside the network and the baseline."""
