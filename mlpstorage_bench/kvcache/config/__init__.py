"""Configuration of the KV-cache workload."""
