"""Users' files: opened, decompressed, decoded and parsed, within limits."""
