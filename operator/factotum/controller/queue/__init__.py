"""Who may run: one pure admit(), and the one place that remembers who holds what."""
