"""Kubernetes from our side: the calls we make, our names, and our resource.

Everything here speaks raw JSON: the generated models of the official client
validate each field, which is dear on the paths every job takes.
"""
