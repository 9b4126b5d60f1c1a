"""Results of the KV-cache workload."""
