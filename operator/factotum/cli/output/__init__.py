"""What the user sees or gets written: the live view, JSON, files."""
