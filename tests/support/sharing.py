"""Who shares a worker when the tests run beside each other (pytest-xdist, `--dist loadscope`).

Each worker brings up what its tests ask for: clusters, Consuls and folders of its own. What a
machine has once, or what is dear to bring up, belongs to one worker; so does a file, for what its
fixtures make. The long ones begin first, so that none is left running alone at the end.
"""

from xdist.scheduler import LoadScopeScheduling

NODE = ("tests/cluster_tool/test_node_profile.py", "tests/node/")
"""One machine has room for one node; the profile's own tests go before those that share a node."""

KNOWS_JOBS = ("tests/crd/", "tests/packaging/test_examples.py", "tests/cluster_tool/test_test_node")
"""They ask one API server, which runs nothing."""

PAGE = "tests/page/"
"""They share a browser."""

REASONS = "tests/cluster/reasons/"
"""They look at one and the same round of jobs."""

NAMESPACES = ("tests/cluster/", "tests/acceptance/")
"""Their tests have a namespace each, on a cluster that their worker has."""

ON_A_CLUSTER = "tests/conformance/test_server_golden.py::test_behaves_as_recorded_where_a_cluster"
"""They share a scene."""

INSTALLED = (*NAMESPACES, ON_A_CLUSTER, "tests/jobs/test_backend_contract.py")
"""They need a cluster with our chart in it."""

CLUSTERS = 4
"""How many workers bring up such a one: to have it wait costs as much as tests do."""

LONG = (
    REASONS,
    PAGE,
    "tests/cluster/test_rights_used.py",
    "tests/cluster/test_certificates.py",
    "tests/chart/test_installing.py",
    ON_A_CLUSTER,
    "tests/cluster/test_replicas.py::test_jobs_survive_thirty_seconds",
    "tests/cluster/test_claims_port.py::test_slow_and_silent",
    "tests/cluster/test_orders.py::test_a_runner_that_does_not_obey",
    "tests/jobs/test_backend_contract.py",
    "tests/acceptance/test_restarts.py",
    "tests/cluster/test_pods_that_do_not_start.py",
    "tests/cluster/test_orders.py::test_cancel_ends_a_task",
    "tests/cluster/test_replicas.py",
    "tests/cluster/test_hostile_objects.py",
    "tests/gateway/test_boxes_that_sleep.py",
    "tests/acceptance/test_consul_outage.py",
    "tests/cluster_tool/test_control_plane.py",
    "tests/images/",
    "tests/jobs/test_boxes.py",
    "tests/jobs/test_cut_off_boxes.py",
    "tests/chart/test_values.py",
    "tests/persistence/test_consul_access.py",
    "tests/cluster/",
    "tests/acceptance/",
    "tests/cli/test_progress.py",
    "tests/runner/test_stalled_output.py",
    "tests/conformance/test_server_golden.py",
    "tests/conformance/test_server_cases.py",
    "tests/conformance/test_server_queue_cases.py",
    "tests/gateway/",
    "tests/jobs/",
    "tests/fuzz/",
    "tests/controller/test_invariants.py",
    "tests/runner/test_terminals.py",
    "tests/runner/test_shutdown.py",
    "tests/pod/test_job.py",
    "tests/conformance/",
    "tests/runner/",
    "tests/cluster_tool/",
)
"""What takes longest apart from these, longest first: for the time it takes, no more."""


def share_of(nodeid: str) -> str:
    """Name the share that a test belongs to: one worker takes all of it."""
    if nodeid.startswith(NODE):
        return "the node"
    if nodeid.startswith(KNOWS_JOBS):
        return "the API server that knows jobs"
    if nodeid.startswith(REASONS):
        return REASONS
    if nodeid.startswith(PAGE):
        return "the browser"
    if nodeid.startswith(NAMESPACES):
        return nodeid
    if nodeid.startswith(ON_A_CLUSTER):
        return ON_A_CLUSTER
    return nodeid.partition("::")[0]


def place_of(nodeid: str) -> int:
    """Give a test's place: a smaller one begins earlier."""
    first = (*NODE, *KNOWS_JOBS, *LONG)
    return next((n for n, start in enumerate(first) if nodeid.startswith(start)), len(first))


class Shares(LoadScopeScheduling):
    """Hands shares to workers, in the order of collection."""

    def __init__(self, config, log=None):
        super().__init__(config, log)
        config.option.loadscopereorder = False
        self._with_cluster = set()

    def _split_scope(self, nodeid):
        return share_of(nodeid)

    def _reschedule(self, node):
        if node.shutting_down or not self.workqueue or self._next_for(node):
            super()._reschedule(node)
        else:
            node.shutdown()  # once it has done what it was given

    def _assign_work_unit(self, node):
        share = self._next_for(node)
        if share is None:
            node.shutdown()
            return
        if share.startswith(INSTALLED):
            self._with_cluster.add(node)
        self.workqueue.move_to_end(share, last=False)
        super()._assign_work_unit(node)

    def _next_for(self, node):
        """Find the first share that this worker may take."""
        may_have = node in self._with_cluster or len(self._with_cluster) < CLUSTERS
        return next((s for s in self.workqueue if may_have or not s.startswith(INSTALLED)), None)
