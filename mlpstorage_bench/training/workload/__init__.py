"""Models, samples, epochs and the loader: which bytes are read, in which order (pure)."""
