"""Setup for benchmarks/ and tests/."""

pytest_plugins = ["pytester"]
