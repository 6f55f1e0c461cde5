"""The command line `factotum run|validate|dot`: the only prints and exit codes.

Each module imports late what only its command needs, since start-up counts.
"""
