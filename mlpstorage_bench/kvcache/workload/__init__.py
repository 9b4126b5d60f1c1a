"""Who asks what, and when: values in, values out; no clock, no I/O, no global state."""
