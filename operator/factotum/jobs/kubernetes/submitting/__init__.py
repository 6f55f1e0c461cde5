"""From an accepted submission to its FactotumJob: room, its factfile's place, and only one."""
