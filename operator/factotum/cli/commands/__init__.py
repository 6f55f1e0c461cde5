"""The commands: `run`, `validate`, `dot` and what goes with them, one file each."""
