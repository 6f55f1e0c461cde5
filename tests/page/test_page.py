"""The page, as a reader sees it.

Real: chromium, the server as a process, its runners. One browser for all.
"""

import json
import time

import pytest
from selenium.webdriver.common.keys import Keys

from support.server.rest import Rest
from support.server.running import Server, factfile

pytestmark = pytest.mark.browser


def test_the_list_shows_jobs_as_they_come_and_go(browser, rest):
    browser.open("/ui")
    browser.wait_for(".live", "live")

    flag = rest.server.folder / "seen"
    job = rest.submit(f"until test -e {flag}; do sleep 0.1; done", name="Seen live")

    browser.wait_for(f"tr[data-key='{job['key']}'] .badge", "Running")
    flag.touch()
    browser.wait_for(f"tr[data-key='{job['key']}'] .badge", "Succeeded")


def test_filters_are_in_the_address(browser, rest, failed):
    browser.open("/ui#/jobs")
    browser.click("button.chip", "Failed")
    browser.type("#search", "in the middle")

    browser.wait(
        lambda: "outcome=FAILED" in browser.driver.current_url, "the outcome in the address"
    )
    browser.wait(lambda: "text=in+the+middle" in browser.driver.current_url, "the text in it")
    browser.wait(lambda: len(browser.all("tbody tr")) == 1, "one row")
    address = browser.driver.current_url

    browser.open("/ui#/jobs")
    browser.wait(lambda: len(browser.all("tbody tr")) > 1, "all rows")
    browser.open(address.partition(browser.address)[2])
    browser.wait(lambda: len(browser.all("tbody tr")) == 1, "one row again")
    assert browser.all(".chip[aria-pressed=true]")[0].text == "Failed"


def test_a_failed_job_opens_on_the_log_of_its_failed_task(browser, failed):
    browser.open(f"/ui#/jobs/{failed['key']}")

    browser.wait_for(".log h2", "task 1")
    browser.wait_for(".lines", "trouble")
    browser.wait(lambda: len(browser.all(".stage .task")) == 3, "three boxes")
    assert [box.get_attribute("class").split()[1] for box in browser.all(".stage .task")] == [
        "succeeded", "failed", "skipped",
    ]  # fmt: skip
    assert "skipped" in browser.text(".tasks").lower()


def test_a_task_can_be_sent_to_somebody_else(browser, failed):
    browser.open(f"/ui#/jobs/{failed['key']}?task=0")
    browser.wait_for(".lines", "first")

    browser.click(".tasks td.name a", "task 1")
    browser.wait_for(".lines", "trouble")
    assert browser.driver.current_url.endswith("task=1")


def test_a_job_is_stopped_and_goes_on_by_buttons(browser, rest):
    flag = rest.server.folder / "go on"
    job = rest.submit(f"test -e '{flag}' || sleep 60", "true", name="By buttons")
    browser.open(f"/ui#/jobs/{job['key']}")
    browser.wait_for(".stage .running", "")

    browser.click(".actions button", "Suspend")
    browser.wait_for(".head .badge", "Suspended")
    flag.touch()
    browser.click(".actions button", "Resume")
    browser.wait_for(".head .badge", "Succeeded")
    browser.wait(lambda: len(browser.all(".stage .task.succeeded")) == 2, "two boxes coloured")


def test_a_job_is_cancelled_after_a_question(browser, rest):
    job = rest.submit("sleep 60", name="By question")
    browser.open(f"/ui#/jobs/{job['key']}")
    browser.click(".actions button", "Cancel")
    browser.click("dialog button", "Back")
    browser.click(".actions button", "Cancel")
    browser.click("dialog button.danger")

    browser.wait_for(".head .badge", "Cancelled")


def test_a_log_is_followed_while_it_grows(browser, rest):
    job = rest.submit(
        "for n in $(seq 1 400); do printf '\\033[31mline %s\\033[0m\\n' $n; done;"
        " sleep 1; echo last",
        name="Grows",
    )
    browser.open(f"/ui#/jobs/{job['key']}?task=0")
    browser.wait_for(".lines", "line 400")
    browser.wait_for(".lines", "last")

    assert len(browser.all(".lines .ansi-1")) == 400
    assert "[31m" not in browser.text(".lines")
    place = (
        "const p = document.querySelector('.pane');"
        " return p.scrollHeight - p.scrollTop - p.clientHeight"
    )
    browser.wait(lambda: browser.run(place) < 30, "the end in view")


def test_a_factfile_is_checked_as_it_is_typed_and_then_submitted(browser):
    browser.open("/ui")
    browser.click("#submit")
    text = json.dumps(factfile("true", "true", name="Typed"), indent=1)

    browser.type("#factfile", text.replace('"data":', '"data"'))
    browser.wait_for(".verdict.bad", "line 3")
    assert not browser.all("dialog button[type=submit]")[0].is_enabled()
    browser.type("#factfile", text)
    browser.wait_for(".verdict.good", "2 tasks")
    browser.wait(lambda: len(browser.all("dialog .stage .task")) == 2, "a preview")
    browser.click("dialog button[type=submit]")

    browser.wait_for("h1", "Typed")
    browser.wait_for(".head .badge", "Succeeded")


def test_a_dropped_factfile_is_checked(browser):
    browser.open("/ui")
    browser.wait_for(".live", "live")
    browser.run(
        """
        const data = new DataTransfer();
        data.items.add(new File([arguments[0]], "dropped.factfile"));
        for (const kind of ["dragover", "drop"]) {
          window.dispatchEvent(new DragEvent(kind, {dataTransfer: data, cancelable: true}));
        }
        """,
        json.dumps(factfile("true", name="Dropped")),
    )

    browser.wait_for("#submit-title", "dropped.factfile")
    browser.wait_for(".verdict.good", "Dropped")


def test_all_goes_by_keys(browser, failed):
    browser.open("/ui#/jobs?outcome=FAILED&text=in+the+middle")
    browser.wait(lambda: len(browser.all("tbody tr")) == 1, "one row")
    browser.press("?")
    browser.wait_for("dialog h2", "Keys")
    browser.press(Keys.ESCAPE)
    browser.wait(lambda: not browser.all("dialog"), "no dialog")
    browser.press("j")
    browser.press(Keys.ENTER)
    browser.wait_for("h1", failed["name"])
    browser.wait(lambda: len(browser.all(".stage .task")) == 3, "the graph")
    browser.press("g")
    browser.press(Keys.ARROW_LEFT)
    browser.wait_for(".lines", "first")
    browser.press("u")
    browser.wait_for("tbody", failed["name"])
    browser.press("n")
    browser.wait_for("#submit-title", "Submit")
    browser.press(Keys.ESCAPE)
    browser.wait(lambda: not browser.all("dialog"), "no dialog")
    browser.press("/")
    browser.wait(lambda: browser.run("return document.activeElement.id") == "search", "the search")


def frame(browser):
    """Move the graph for 40 frames; return what half of them took at most, in milliseconds."""
    return browser.driver.execute_async_script(
        """
        const done = arguments[0];
        const stage = document.querySelector(".stage");
        const times = [];
        let last = performance.now();
        function move(now) {
          times.push(now - last);
          last = now;
          stage.dispatchEvent(
            new WheelEvent("wheel", {deltaY: 60, shiftKey: true, cancelable: true}));
          if (times.length < 40) requestAnimationFrame(move);
          else done(times.sort((a, b) => a - b)[20]);
        }
        requestAnimationFrame(move);
        """
    )


@pytest.mark.longer
def test_two_thousand_tasks_are_drawn_and_move_like_three(browser, failed, big):
    browser.open(f"/ui#/jobs/{failed['key']}")
    browser.wait(lambda: len(browser.all(".stage .task")) == 3, "the small graph")
    small = min(frame(browser) for _ in range(3))

    browser.open(f"/ui#/jobs/{big['key']}")
    browser.wait(lambda: browser.all(".stage .task"), "the graph", seconds=120)
    count = "return document.querySelectorAll('.tasks tbody tr').length"
    browser.wait(lambda: browser.run(count) == 2000, "the table", seconds=120)

    elements = browser.run("return document.querySelectorAll('.stage *').length")
    assert elements < 4000  # in view, not all that there is
    # Whatever else the machine does meanwhile, one of these has the browser's own pace.
    assert min(frame(browser) for _ in range(3)) < 6 * small + 50


@pytest.mark.parametrize("kind", [pytest.param("tab", marks=pytest.mark.longer), "window"])
def test_many_pages_share_one_server(browser, rest, kind):
    first = browser.driver.current_window_handle
    browser.open("/ui")
    try:
        for _ in range(7):  # a browser has six connections for one server
            browser.driver.switch_to.new_window(kind)
            browser.open("/ui")
            browser.wait_for(".live", "live", seconds=30)
        job = rest.submit("true", name=f"For the last {kind} {time.time()}")
        for handle in browser.driver.window_handles:
            browser.driver.switch_to.window(handle)
            browser.wait_for(f"tr[data-key='{job['key']}'] .badge", "Succeeded")
    finally:
        for handle in browser.driver.window_handles:
            if handle != first:
                browser.driver.switch_to.window(handle)
                browser.driver.close()
        browser.driver.switch_to.window(first)


def test_a_page_comes_back_to_a_server_that_was_away(zygote, browser, tmp_path):
    with Server(zygote, tmp_path) as server:
        rest = Rest(server)
        browser.driver.get(f"http://127.0.0.1:{server.port}/ui")
        browser.wait_for(".live", "live")
        server.end(9)
        browser.wait_for(".live", "away")
        server.start()
        browser.wait_for(".live", "live")
        job = rest.submit("true", name="After it")
        browser.wait_for(f"tr[data-key='{job['key']}'] .badge", "Succeeded")
        browser.driver.get("about:blank")


WIDE = "const e = document.querySelector(arguments[0]); return e.scrollWidth - e.clientWidth"


@pytest.fixture
def phone(browser):
    """Have the browser be as narrow as a phone."""
    metrics = {"width": 360, "height": 780, "deviceScaleFactor": 1, "mobile": False}
    browser.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    yield browser
    browser.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@pytest.mark.parametrize("is_dark", [False, True], ids=["light", "dark"])
def test_on_a_phone_all_can_be_read_and_touched(phone, failed, is_dark):
    phone.dark(is_dark=is_dark)
    try:
        phone.open("/ui#/jobs?text=in+the+middle")
        phone.wait(lambda: len(phone.all("tbody tr")) == 1, "one row")
        for part in ("html", "main.list > .scroll"):
            assert phone.run(WIDE, part) == 0
        (name,) = phone.all("td.name > a")
        assert name.size["width"] > 100  # in one line, not a letter in each
        for button in [each for each in phone.all("#bar button") if each.is_displayed()]:
            assert button.size["width"] >= 32
        assert phone.barriers() == []

        phone.open(f"/ui#/jobs/{failed['key']}")
        phone.wait_for(".log-state", "end")
        phone.wait(lambda: phone.all(".stage .task.selected"), "the failed one in view")
        assert phone.all(".stage .task.selected .name")[0].is_displayed()  # near enough to be read
        for part in ("html", ".tasks .scroll"):
            assert phone.run(WIDE, part) == 0
        assert phone.barriers() == []
    finally:
        phone.dark(is_dark=False)


def test_the_end_of_a_log_that_is_followed_is_in_view(browser, rest):
    job = rest.submit("seq 1 500", name="Long enough")
    rest.wait(job["key"])
    browser.open(f"/ui#/jobs/{job['key']}?task=0")
    browser.wait_for(".log-state", "end")
    place = """
    const around = document.querySelector(".pane").getBoundingClientRect();
    return document.querySelector(".log-state").getBoundingClientRect().bottom <= around.bottom;
    """
    browser.wait(lambda: browser.run(place), "its last line in view", seconds=5)
