"""Measurements of the product, each side by side with something everybody knows.

``python -m benchmarks`` runs all, ``python -m benchmarks per_task`` one. A benchmark is a
module with a function `measure(report, scale)`; it prints no verdict: what a figure has to be
stands in the tests.
"""
