"""The backend that has a cluster run the jobs: a submission becomes a FactotumJob.

Nothing is kept here that the API server does not have: any number of these
backends may stand side by side, come and go. Must not know the transport, the
controller or the other backend.
"""
