"""`scripts/bench`: what the platform reaches, as ratios measured within one run.

docs/benchmarks.md says how to read the figures.
"""
