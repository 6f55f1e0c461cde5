"""Who may ask a server for what: one protocol, and those who decide it."""
