"""The benchmark: how fast the service works on the local stack, what it costs, and how others would do the same.

    python -m infra.bench [--quick]

How it measures, and the last full measurement: docs/benchmarks.md.
"""
