"""What prints the figures of the README and of RESULTS.md; `python -m benchmarks.NAME`."""
