"""The KV-cache workload: what an LLM server asks of its cache, and how the storage serves it."""
