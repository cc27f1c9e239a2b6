"""Scripts that print the figures of docs/performance.md and of RESULTS.md; `python -m benchmarks.NAME`."""
