"""One run of a factfile as a state machine, and what is told and kept of it."""
