"""How a job comes to end well, for each reason.

Real: the runner, on a node that the test node plays.
"""

from cluster.reasons.catalogue import brings_about
from cluster.reasons.scene import Scene
from factotum.core.words.reasons import Reason


@brings_about(Reason.SUCCEEDED, "the task returns 0")
def succeeded(scene: Scene) -> None:
    scene.create()


@brings_about(Reason.EARLY_FINISH, "the task's return code is in its `terminateJobWithSuccess`")
def early_finish(scene: Scene) -> None:
    codes = {"terminateJobWithSuccess": [3], "continueJob": [0]}
    scene.create(factfile=scene.factfile("exit 3", onResult=codes))


@brings_about(Reason.DRY_RUN, "`dryRun: true`")
def dry_run(scene: Scene) -> None:
    scene.create(dryRun=True)


@brings_about(
    Reason.HOST_CONSTRAINT_NOT_MATCHED, "`constraints.host` is an address that no Node has"
)
def host_constraint_not_matched(scene: Scene) -> None:
    scene.create(host="192.0.2.77")
