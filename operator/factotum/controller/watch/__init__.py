"""How the cache is kept fresh: watches, lists, and the sweep that finds what they missed."""
