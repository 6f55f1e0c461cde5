"""A job server as one writes it in an afternoon: what ours is compared with.

A thread for each connection, a process of the runner for each check and each job, a
queue in memory, 20 worker threads. Run as a program: PORT RUNNER WORKERS.
"""

import hashlib
import json
import queue
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

RUNNER = sys.argv[2]
JOBS: dict[str, str] = {}
QUEUE: queue.Queue[tuple[str, list[str]]] = queue.Queue()


def runs(*words: str) -> bool:
    done = subprocess.run([RUNNER, "run", *words], capture_output=True, check=False)
    return done.returncode == 0


def work() -> None:
    while True:
        job_id, words = QUEUE.get()
        JOBS[job_id] = "WORKING"
        JOBS[job_id] = "SUCCEEDED" if runs(*words) else "FAILED"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet: else every answer waits for an acknowledgement

    def log_message(self, *_: object) -> None:
        pass

    def answer(self, document: object) -> None:
        body = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        if url.path == "/check":
            self.answer({"state": JOBS.get(parse_qs(url.query)["id"][0], "")})
        else:
            self.answer({"inQueue": QUEUE.qsize(), "active": list(JOBS.values()).count("WORKING")})

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        words = [asked["factfilePath"], *asked["factfileArgs"]]
        runs(words[0], "--dry-run", *words[1:])
        job_id = hashlib.sha256(json.dumps(words).encode()).hexdigest()
        JOBS[job_id] = "QUEUED"
        QUEUE.put((job_id, words))
        self.answer({"message": job_id})


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 1024


if __name__ == "__main__":
    for _ in range(int(sys.argv[3])):
        threading.Thread(target=work, daemon=True).start()
    Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
