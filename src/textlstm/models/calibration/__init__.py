"""From the logits of both branches to probabilities that can be believed."""
