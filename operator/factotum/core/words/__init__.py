"""The closed sets of words: states, reasons, and the original's sentences."""
