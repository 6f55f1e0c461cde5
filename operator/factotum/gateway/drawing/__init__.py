"""A job's graph as people see it: boxes on levels, and its forms: values, SVG, DOT. Pure."""
