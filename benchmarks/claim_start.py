"""What a Pod pays until its claim is out, TLS included, against an interpreter that does nothing.

The server here refuses each claim, so that the runner ends right after the answer: all of it is
start-up. What the module `ssl` would cost instead of its C part stands beside it.
"""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from benchmarks import workloads
from benchmarks.measuring import Report, Side

# Certificates are made as for the tests.
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

_REFUSED = 75


def measure(report: Report, *, quick: bool) -> None:
    """Compare a refused claim with an interpreter, and with one that imports `ssl`."""
    from support.http.certificates import loopback  # noqa: PLC0415 - needs the path above

    rounds = 5 if quick else 40
    with workloads.folder() as folder, _refusing() as url:
        token = folder / "token"
        token.write_text("a-token")
        environ = {
            "FACTOTUM_OPERATOR_URL": url,
            "FACTOTUM_OPERATOR_CA": loopback().trusted,
            "FACTOTUM_JOB_UID": "uid",
            "FACTOTUM_ATTEMPT": "1",
            "FACTOTUM_LAUNCH": "1",
            "FACTOTUM_TOKEN_FILE": str(token),
            "FACTOTUM_TERMINATION_LOG": str(folder / "termination-log"),
        }
        work = [workloads.program("factotum"), "work"]
        isolated = [sys.executable, "-I", "-S", "-c"]
        report.compare(
            "start: a claim over TLS",
            [
                Side("factotum work, refused", work, folder, _REFUSED, environ),
                Side("python3 -IS -c pass", [*isolated, "pass"], folder),
                Side("python3 -IS, import _ssl", [*isolated, "import _ssl"], folder),
                Side("python3 -IS, import ssl", [*isolated, "import ssl"], folder),
            ],
            rounds=rounds,
        )


@contextmanager
def _refusing() -> Iterator[str]:
    """Refuse claims at an address."""
    from support.http.certificates import serving  # noqa: PLC0415 - needs the path above

    class Refuse(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            answer = b'{"error":"this is a benchmark"}'
            self.send_response(409)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Refuse) as server:
        server.socket = serving().wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"https://127.0.0.1:{server.server_port}"
        server.shutdown()
