"""Consul follows the cache; nothing ever waits for it but a second."""
