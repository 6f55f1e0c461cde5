"""The factfile: its JSON, schema, templates and tags, and the graph it declares."""
