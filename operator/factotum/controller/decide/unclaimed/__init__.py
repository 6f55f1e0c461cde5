"""A job before its claim: whom it waits for, how its Pod starts, and how often either is told."""
