"""What a request to the store can end in, as exceptions of our own.

StoreError
+-- StoreUnreachableError   no useful answer: the outcome is unknown, try later
|   +-- StoreFailingError   there was an answer, of one that cannot do its work
+-- StoreConflictError      the entry changed since it was read: read again
+-- StoreRefusedError       this one request will never be taken

Nothing of python-consul2, requests or urllib3 leaves the package.
"""

from factotum.core.errors import FactotumError


class StoreError(FactotumError):
    """A request to the store failed."""


class StoreUnreachableError(StoreError):
    """No answer in time, or one that helps nobody: whether it took effect is unknown."""


class StoreFailingError(StoreUnreachableError):
    """The store answers that it cannot: it has lost its leader, for example."""


class StoreConflictError(StoreError):
    """The entry is no longer the one that was read."""


class StoreRefusedError(StoreError):
    """The store understood the request and will not take it, e.g. a value that is too big."""
