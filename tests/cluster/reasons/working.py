"""How a job comes to work, or to stop working, for each reason.

Real: claims and orders, spoken by the test as a runner speaks them; the Pod's node is nobody's.
"""

from cluster.reasons.catalogue import brings_about
from cluster.reasons.scene import Scene
from factotum.core.words.reasons import Reason


@brings_about(Reason.CLAIMED, "the Pod's runner asks for the job")
def claimed(scene: Scene) -> None:
    scene.create_by_hand()
    scene.claimed()


@brings_about(Reason.POD_GONE, "the Pod of a running job is deleted by force")
def pod_gone(scene: Scene) -> None:
    scene.create_by_hand()
    scene.claimed()
    scene.delete_pod(grace=0)


@brings_about(Reason.SUSPENDING, "`desiredState: Suspend`, and the runner has not heard of it yet")
def suspending(scene: Scene) -> None:
    scene.create_by_hand()
    scene.claimed()
    scene.desire("Suspend")


@brings_about(Reason.CANCELLING, "`desiredState: Cancel`, and the runner has not heard of it yet")
def cancelling(scene: Scene) -> None:
    scene.create_by_hand()
    scene.claimed()
    scene.desire("Cancel")
