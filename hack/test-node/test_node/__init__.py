"""A node for tests: plays kubelet for Pods bound to fake nodes.

A Pod whose container runs `factotum work` gets the real runner as a local process, with the
Pod's environment and a real bound token. It must know of the operator only what a kubelet
would see: Pods. For load, `test_node.replay` plays the runners; it alone knows what they say.
"""

from test_node.node import TestNode

__all__ = ["TestNode"]
