"""What is known, as values: of a job, its Pods, the Nodes; and the cache that holds the newest."""
