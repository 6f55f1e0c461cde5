"""A real Kubernetes on this machine, as plain processes, for the demo and the tests.

Python standard library only, so that it runs before anything of the project is
installed. It must know nothing of FactotumJobs: it brings up clusters, no more.
"""
