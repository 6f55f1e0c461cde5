"""FactotumJobs and what belongs to them: how they are named, written, read and changed. Pure."""
