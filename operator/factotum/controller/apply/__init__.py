"""The only writer: status patches, Pods, deletes and Events; every step is logged here."""
