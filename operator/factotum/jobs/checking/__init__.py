"""Would the runner run it, and which job is it: the checks of a submission from its factfile on.

``own`` asks our own code, in processes that may be killed (``processes``);
``program`` asks a foreign program by a dry run. Must not know the backends.
"""
