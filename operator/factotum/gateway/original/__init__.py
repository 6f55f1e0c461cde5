"""Factotum Server's API: its bodies, codes, messages and order of checks, and its log lines."""
