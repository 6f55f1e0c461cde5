"""Figures about the operator for Prometheus; nothing is decided by them."""
