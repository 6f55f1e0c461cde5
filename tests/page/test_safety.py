"""What hostile jobs and pages of other sites can do to a reader, and what barriers there are.

Real: chromium, the server as a process, its runners, a page of another site, axe-core.
"""

import http.server
import json
import threading
import time

import pytest

from support.server.running import Server, factfile

pytestmark = pytest.mark.browser

EVIL = "<img src=x onerror=\"window.hacked='{}'\"><script>window.hacked='{}'</script>"


def test_names_and_logs_are_only_text(browser, rest):
    document = factfile(f"printf '%s' {json.dumps(EVIL.format('log', 'log'))}; exit 1", name="x")
    document["data"]["tasks"][0]["name"] = EVIL.format("task", "task")
    document["data"]["tasks"].append({**document["data"]["tasks"][0], "name": "\u202eesrever"})
    tag = EVIL.format("tag", "tag").replace(",", "")
    body = {
        "factfile": document, "name": EVIL.format("job", "job"), "args": ["--tag", f"{tag},{tag}"],
    }  # fmt: skip
    answer = rest.post("/v1/jobs", body)
    job = json.loads(answer.body)
    rest.wait(job["key"])

    for address in (
        "/ui",
        f"/ui#/jobs/{job['key']}",
        f"/ui#/jobs/{EVIL}",
        f"/ui#/jobs?text={EVIL}",
    ):
        browser.open(address)
        browser.wait_for(".live", "live" if EVIL not in address else "")
        time.sleep(0.5)
        assert browser.run("return window.hacked") is None
        assert not browser.all("main img, main script, h1 img")
    browser.open(f"/ui#/jobs/{job['key']}?task=0")
    browser.wait_for(".lines", EVIL.format("log", "log"))
    assert browser.text("h1") == EVIL.format("job", "job")
    assert "⟨U+202E⟩esrever" in browser.text(".tasks")
    browser.open("/ui")
    browser.click("#submit")
    browser.type("#factfile", json.dumps({"schema": EVIL, "data": {"name": EVIL, EVIL: []}}))
    browser.wait_for(".verdict.bad", "✕")
    assert browser.run("return window.hacked") is None


@pytest.fixture
def foreign(rest):
    """A page of another site that frames ours, posts to it and asks it."""
    target = f"http://127.0.0.1:{rest.server.port}"
    body = json.dumps(json.dumps({"factfile": factfile("true", name="forged")}))
    page = f"""<!doctype html><title>elsewhere</title><iframe src="{target}/ui"></iframe>
    <form method="post" enctype="text/plain" target="sink" action="{target}/v1/jobs">
    <input name='{{"factfilePath":"x","a":"' value='"}}'></form><iframe name="sink"></iframe>
    <script>
    window.results = [];
    document.forms[0].submit();
    for (const [type, mode] of [["application/json", "cors"], ["text/plain", "no-cors"]])
      fetch("{target}/v1/jobs", {{
        method: "POST", mode, headers: {{"Content-Type": type}}, body: {body}
      }}).then((r) => results.push(r.type), () => results.push("refused"));
    fetch("{target}/v1/jobs").then((r) => r.text())
      .then((t) => results.push(t), () => results.push("refused"));
    </script>""".encode()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://localhost:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_a_page_of_another_site_neither_frames_nor_changes_nor_reads(browser, rest, foreign):
    before = rest.read("/v1/jobs")["total"]
    browser.driver.get(foreign)
    results = browser.wait(
        lambda: (r := browser.run("return results")) and len(r) == 3 and r, "answers"
    )

    assert sorted(results) == ["opaque", "refused", "refused"]
    browser.driver.switch_to.frame(0)
    assert "Factotum" not in browser.driver.page_source
    browser.driver.switch_to.default_content()
    assert rest.read("/v1/jobs")["total"] == before
    browser.driver.get("about:blank")


def test_a_token_is_asked_for_and_kept_for_the_tab(zygote, browser, tmp_path):
    (tmp_path / "token").write_text("open-sesame")
    with Server(zygote, tmp_path, f"--token-file={tmp_path / 'token'}") as server:
        browser.driver.get(f"http://127.0.0.1:{server.port}/ui")
        for token in ("wrong", "open-sesame"):
            browser.wait_for("#token", "")
            browser.type("#token", token)
            field = browser.all("#token")[0]
            browser.click("dialog button.primary")
            # Another one asks again, where the first was wrong.
            browser.wait(lambda asked=field: browser.all("#token")[:1] != [asked], "an answer")
        browser.wait_for(".empty", "No jobs yet")
        browser.wait_for(".live", "live")
        browser.driver.refresh()
        browser.wait_for(".empty", "No jobs yet")
        assert not browser.all("#token")
        browser.driver.get("about:blank")


@pytest.mark.parametrize(
    ("width", "is_dark"), [(1400, True), (500, False)], ids=["dark and wide", "light and narrow"]
)
def test_no_barrier_is_serious(browser, failed, width, is_dark):
    browser.driver.set_window_size(width, 1000)
    browser.dark(is_dark=is_dark)
    try:
        found = {}
        browser.open("/ui")
        browser.wait_for("tbody", failed["name"])
        found["list"] = browser.barriers()
        browser.click("#submit")
        browser.type("#factfile", '{"schema":: 1}')
        browser.wait_for(".verdict.bad", "column")
        found["submission"] = browser.barriers()
        browser.open("/ui#/jobs?text=nothing+is+called+so")
        browser.wait_for(".empty", "No job fits")
        browser.press("?")
        found["nothing"] = browser.barriers()
        browser.open(f"/ui#/jobs/{failed['key']}")
        browser.wait(lambda: len(browser.all(".stage .task")) == 3, "the graph")
        browser.wait_for(".lines", "trouble")
        found["failed job"] = browser.barriers()

        assert {state: each for state, each in found.items() if each} == {}
    finally:
        browser.driver.set_window_size(1400, 1000)
        browser.dark(is_dark=False)


def test_no_other_host_was_ever_asked(browser, rest):
    hosts = browser.hosts_asked()

    assert hosts
    assert {host.partition(":")[0] for host in hosts} <= {"127.0.0.1", "localhost"}
