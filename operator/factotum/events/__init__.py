"""The webhook: what a run tells its consumer, and how that gets there.

``updates`` builds the bytes of events and is pure, ``urls`` judges the address,
``retries`` says how stubbornly to deliver, ``posting`` makes one request and
``webhook`` is the run's listener with its queue and its one sender. Nothing here
knows about processes, the command line or Kubernetes.
"""
