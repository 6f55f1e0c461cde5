"""Who leads: one of several replicas, by a Lease, and for how long it may write."""
