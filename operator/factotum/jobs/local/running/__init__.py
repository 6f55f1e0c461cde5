"""How jobs run: who gets a worker, the runners' processes, and what becomes of what they say."""
