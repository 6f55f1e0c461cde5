"""Where a job's state is kept besides its resource: Factotum Server's entries, in Consul.

Knows the entry's bytes, its keys and Consul's answers. Must not know Kubernetes
objects, the event loop, or which entry is right for a key: that is decided by
whoever uses it.
"""
