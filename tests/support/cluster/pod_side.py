"""A runner's side of the protocol, spoken by hand: claims and reports in any order a test likes.

The token is a real one, bound to a real Pod, as a kubelet would get it.
"""

import http.client
import json
import ssl
from typing import Any

from factotum.core.wire.reports import Report
from support.cluster.kube_api import KubeApi, RawObject

_ANYBODY = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
_ANYBODY.check_hostname = False
_ANYBODY.verify_mode = ssl.CERT_NONE


class PodSide:
    """What a process in a Pod can say to the operator."""

    def __init__(self, api: KubeApi, pod: RawObject, operator: tuple[str, int]) -> None:
        self._operator = operator
        metadata = pod["metadata"]
        self.name: str = metadata["name"]
        self.uid: str = metadata["uid"]
        self.variables: dict[str, str] = {
            entry["name"]: entry["value"]
            for entry in pod["spec"]["containers"][0]["env"]
            if "value" in entry
        }
        self.token = bound_token(api, pod)

    def claim(self, claim_id: str) -> tuple[int, dict[str, Any]]:
        """Ask for the attempt."""
        launch = f"{self.variables['FACTOTUM_ATTEMPT']}/{self.variables['FACTOTUM_LAUNCH']}"
        path = f"/v1/claims/{self.variables['FACTOTUM_JOB_UID']}/{launch}"
        return self.post(path, json.dumps({"claim": claim_id}).encode())

    def report(
        self, claim_id: str, sequence: int, states: str, *, final: bool = False, **fields: Any
    ) -> tuple[int, dict[str, Any]]:
        """Tell how the run goes."""
        ended = {index: 0 for index, letter in enumerate(states) if letter in "SN"}
        ended |= {index: 1 for index, letter in enumerate(states) if letter == "F"}
        report = Report(
            **{
                "claim_id": claim_id,
                "sequence": sequence,
                "final": final,
                "interrupted": 0,
                "states": states,
                "codes": ended,
                "started": {},
                "seconds": {},
                "errors": {},
                "job_reference": "0" * 64,
                "run_reference": "0" * 64,
                **fields,
            }
        )
        attempt = self.variables["FACTOTUM_ATTEMPT"]
        path = f"/v1/reports/{self.variables['FACTOTUM_JOB_UID']}/{attempt}"
        return self.post(path, report.to_json())

    def post(self, path: str, body: bytes, token: str | None = None) -> tuple[int, dict[str, Any]]:
        """Send one request, with this Pod's token or another."""
        connection = http.client.HTTPSConnection(*self._operator, timeout=20, context=self._trust())
        headers = {"Authorization": f"Bearer {self.token if token is None else token}"}
        try:
            connection.request("POST", path, body, headers)
            answer = connection.getresponse()
            payload = answer.read()
            return answer.status, json.loads(payload) if payload else {}
        finally:
            connection.close()

    def _trust(self) -> ssl.SSLContext:
        """Trust whom the Pod was told to; a forged one, told of nobody, does not care."""
        authorities = self.variables.get("FACTOTUM_OPERATOR_CA")
        return _ANYBODY if authorities is None else ssl.create_default_context(cadata=authorities)


def bound_token(api: KubeApi, pod: RawObject, audience: str = "factotum-operator") -> str:
    """Get the token that a kubelet would put into a Pod."""
    metadata = pod["metadata"]
    request = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {
            "audiences": [audience],
            "expirationSeconds": 3600,
            "boundObjectRef": {
                "apiVersion": "v1",
                "kind": "Pod",
                "name": metadata["name"],
                "uid": metadata["uid"],
            },
        },
    }
    path = f"/api/v1/namespaces/{metadata['namespace']}/serviceaccounts/default/token"
    return str(api.create(path, request)["status"]["token"])
