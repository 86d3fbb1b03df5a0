"""The scoring server: requests in MLflow's format, batched over clients, answered by one classifier."""
