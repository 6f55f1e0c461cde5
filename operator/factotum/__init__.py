"""Factotum: runs a DAG of shell commands, on the command line and on Kubernetes."""

__version__ = "0.1.0"
