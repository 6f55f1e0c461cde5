"""The page's log: links to a line, and a search of all of it, however large it is.

Real: chromium, the server as a process, its runners and what they print.
"""

import json

import pytest
from selenium.webdriver.common.keys import Keys

from support.server.rest import Rest
from support.server.running import Server

pytestmark = pytest.mark.browser

COUNT = 500_000
LARGE = f"seq -f 'line %.0f of a great many' 1 {COUNT}"
EVIL = "<img src=x onerror=\"window.hacked='{0}'\"><script>window.hacked='{0}'</script>"


@pytest.fixture(scope="module")
def large(rest):
    """A job whose first task prints 15 MB, and whose second one prints little."""
    job = rest.submit(LARGE, "printf 'one\\ntwo\\nthree\\n'", name="Prints a lot")
    done = rest.wait(job["key"], seconds=120)["job"]
    assert done["outcome"] == "SUCCEEDED"
    size = int(rest.get(f"/v1/jobs/{job['key']}/log?task=0&limit=1").headers["factotum-log-size"])
    assert size > 10_000_000
    return done


def wait_marked(browser, text):
    browser.wait(lambda: browser.text(".line.marked .text") == text, f"{text!r} marked")
    browser.wait(lambda: browser.run(IN_VIEW), f"{text!r} in view")


IN_VIEW = """
const around = document.querySelector(".pane").getBoundingClientRect();
const {top, bottom} = document.querySelector(".line.marked").getBoundingClientRect();
return around.top <= top && bottom <= around.bottom;
"""
SHOWN = "return document.querySelectorAll('.line').length"


def test_a_link_to_a_line_shows_and_marks_it(browser, large):
    browser.open(f"/ui#/jobs/{large['key']}?task=0&line=250000")
    wait_marked(browser, "line 250000 of a great many")
    assert browser.run(SHOWN) < 10_000  # of half a million

    browser.click(".line.marked + .line .at")
    wait_marked(browser, "line 250001 of a great many")
    address = browser.driver.current_url.partition(browser.address)[2]
    assert "line=250001" in address
    browser.open(address)
    wait_marked(browser, "line 250001 of a great many")

    browser.go(f"#/jobs/{large['key']}?task=1&line=2")
    wait_marked(browser, "two")
    browser.go(f"#/jobs/{large['key']}?task=0&line={COUNT + 1}")
    browser.wait_for(".flash", "no line 500,001")
    browser.go(f"#/jobs/{large['key']}?task=0&line=1")
    wait_marked(browser, "line 1 of a great many")


def test_a_line_that_is_picked_again_is_let_go(browser, large):
    browser.open(f"/ui#/jobs/{large['key']}?task=1&line=2")
    wait_marked(browser, "two")
    browser.click(".line.marked .at")
    browser.wait(lambda: not browser.all(".line.marked"), "none marked")
    assert "line=" not in browser.driver.current_url


def test_lines_keep_their_numbers_wherever_one_begins_to_read(browser, large):
    numbers = """
    return [...document.querySelectorAll(".line")].every((line) => {
      const { n } = line.querySelector(".at").dataset;
      return line.querySelector(".text").textContent === `line ${n} of a great many`;
    });
    """
    browser.open(f"/ui#/jobs/{large['key']}?task=0")
    browser.wait_for(".log-state", "end")
    assert browser.run(numbers)
    before = browser.run(SHOWN)
    browser.click(".older", "before")
    browser.wait(lambda: browser.run(SHOWN) > before, "older lines")
    assert browser.run(numbers)

    browser.go(f"#/jobs/{large['key']}?task=0&line=250000")
    wait_marked(browser, "line 250000 of a great many")
    for _ in range(3):
        before = browser.run(SHOWN)
        browser.run("const p = document.querySelector('.pane'); p.scrollTop = p.scrollHeight")
        browser.wait(lambda shown=before: browser.run(SHOWN) > shown, "newer lines")
    assert browser.run(numbers)
    browser.click(".log label", "Follow")
    browser.wait(lambda: "line 500000 of" in browser.text(".line:last-child .text"), "the end")
    assert browser.run(numbers)


@pytest.mark.longer
def test_all_of_a_large_log_is_searched_by_keys(browser, large):
    browser.open(f"/ui#/jobs/{large['key']}?task=0")
    browser.wait_for(".log-state", "end")
    browser.press("l", *"LINE 12345")
    browser.wait_for(".found", "11 lines")  # itself, and ten of six digits
    browser.press(Keys.ENTER)  # from where one reads, around to the first
    wait_marked(browser, "line 12345 of a great many")
    browser.wait_for(".found", "1 of 11")
    assert browser.run("return CSS.highlights.get('found').size") == 1
    browser.press(Keys.ENTER)
    wait_marked(browser, "line 123450 of a great many")
    browser.driver.switch_to.active_element.send_keys(Keys.SHIFT, Keys.ENTER)
    wait_marked(browser, "line 12345 of a great many")

    # What was looked for and found can be sent to somebody else.
    address = browser.driver.current_url.partition(browser.address)[2]
    browser.open(address)
    wait_marked(browser, "line 12345 of a great many")
    browser.wait_for(".found", "1 of 11 lines")
    assert browser.all("#find")[0].get_attribute("value") == "LINE 12345"

    # The next one from a line that is far behind the first thousand of matches.
    browser.go(f"#/jobs/{large['key']}?task=0&line=399999&find=00")
    browser.wait_for(".line.marked", "line 399999 ")
    browser.all("#find")[0].send_keys(Keys.ENTER)
    wait_marked(browser, "line 400000 of a great many")
    browser.go(address.partition("#")[2])
    browser.wait_for(".found", "1 of 11 lines")

    browser.click(".log search label", "Match case")
    browser.wait_for(".found", "nowhere")
    browser.type("#find", ":77")
    browser.all("#find")[0].send_keys(Keys.ENTER)
    wait_marked(browser, "line 77 of a great many")


def test_line_numbers_are_reached_by_keys(browser, large):
    browser.open(f"/ui#/jobs/{large['key']}?task=1")
    browser.wait_for(".log-state", "end")
    assert len(browser.all(".at[tabindex='0']")) == 0
    browser.run("document.querySelector('.pane').focus()")
    browser.press(Keys.TAB, Keys.ARROW_DOWN, Keys.ARROW_DOWN, Keys.ARROW_UP)
    assert browser.driver.switch_to.active_element.get_attribute("aria-label") == "Line 2"
    assert len(browser.all(".at[tabindex='0']")) == 1
    browser.press(Keys.ENTER)
    wait_marked(browser, "two")
    assert "line=2" in browser.driver.current_url


def test_a_log_that_grows_is_searched_on(browser, rest):
    flag = rest.server.folder / "grow"
    job = rest.submit(
        f"echo early bird; until test -e {flag}; do sleep 0.1; done; echo late bird; sleep 600",
        name="Grows while searched",
    )
    browser.open(f"/ui#/jobs/{job['key']}?task=0")
    browser.wait_for(".lines", "early bird")
    browser.press("l", *"bird", Keys.ENTER)
    wait_marked(browser, "early bird")
    browser.wait_for(".found", "1 of 1 line")
    flag.touch()
    browser.wait_for(".lines", "late bird")
    browser.press(Keys.ENTER)
    wait_marked(browser, "late bird")
    browser.wait_for(".found", "2 of 2 lines")
    rest.post(f"/v1/jobs/{job['key']}/cancel")


def test_whatever_a_log_or_a_link_holds_is_only_text(browser, rest):
    evil = EVIL.format("log")
    job = rest.submit(
        f"printf '%b\\n' {json.dumps(evil)} '\\033[31mred\\033[0m evil' x", name="Evil"
    )
    rest.wait(job["key"])
    browser.open(f"/ui#/jobs/{job['key']}?task=0&line=1&find={evil}&attempt={evil}")
    browser.wait_for(".found", "1 line")
    wait_marked(browser, evil)
    assert browser.all("#find")[0].get_attribute("value") == evil
    for line in (evil, "-1", "1e9", "99999999999999999999", "__proto__"):
        browser.go(f"#/jobs/{job['key']}?task=0&line={line}")
        browser.wait_for(".lines", "red evil")
        assert not browser.all(".line.marked")
    browser.press("l", *"red evil", Keys.ENTER)
    browser.wait_for(".line.marked", "red evil")  # across a colour
    assert browser.run("return window.hacked") is None
    assert not browser.all("main img, main script")


def test_a_log_without_its_middle_has_the_numbers_of_its_download(zygote, browser, tmp_path):
    with Server(zygote, tmp_path, "--log-size=100000") as server:
        rest = Rest(server)
        key = rest.submit("seq -f 'row %.0f' 1 40000", name="Too large")["key"]
        rest.wait(key)
        answer = rest.get(f"/v1/jobs/{key}/log?task=0")
        rows = answer.body.decode().split("\n")
        assert int(answer.headers["factotum-log-dropped"]) > 0
        number = rows.index("row 39990") + 1
        address = f"http://127.0.0.1:{server.port}/ui#/jobs/{key}?task=0"

        browser.driver.get("about:blank")
        browser.driver.get(f"{address}&line={number}")
        wait_marked(browser, "row 39990")
        browser.driver.get("about:blank")
        browser.driver.get(f"{address}&find=row+39990")
        browser.wait_for(".found", "1 line")
        browser.press("l", Keys.ENTER)
        wait_marked(browser, "row 39990")
        while browser.all(".older")[0].is_displayed():
            before = browser.run(SHOWN)
            browser.click(".older", "before")
            browser.wait(lambda shown=before: browser.run(SHOWN) > shown, "older lines")
        browser.wait_for(".between", "left out here")
        shown = browser.run(
            "return [...document.querySelectorAll('.line .at')].map((at) =>"
            " [Number(at.dataset.n), at.parentElement.querySelector('.text').textContent])"
        )
        assert shown[0] == [1, "row 1"]
        joined = {}
        for n, text in shown:
            joined[n] = joined.get(n, "") + text
        assert [joined[n] for n in sorted(joined)] == rows[:-1]
        browser.driver.get("about:blank")


def frame(browser):
    """Scroll the log for 40 frames; return what half of them took at most, in milliseconds."""
    return browser.driver.execute_async_script(
        """
        const done = arguments[0];
        const pane = document.querySelector(".pane");
        const times = [];
        let last = performance.now();
        function move(now) {
          times.push(now - last);
          last = now;
          pane.scrollTop -= 60;
          if (times.length < 40) requestAnimationFrame(move);
          else done(times.sort((a, b) => a - b)[20]);
        }
        requestAnimationFrame(move);
        """
    )


def test_a_large_log_moves_like_a_small_one_while_it_is_searched(browser, large):
    browser.open(f"/ui#/jobs/{large['key']}?task=1")
    browser.wait_for(".log-state", "end")
    small = min(frame(browser) for _ in range(3))
    browser.open(f"/ui#/jobs/{large['key']}?task=0&find=line")
    browser.wait_for(".found", "20,000+ lines")

    # Whatever else the machine does meanwhile, one of these has the browser's own pace.
    assert min(frame(browser) for _ in range(3)) < 6 * small + 50
    assert browser.run(SHOWN) < 10_000


@pytest.mark.parametrize("is_dark", [False, True], ids=["light", "dark"])
def test_no_barrier_is_serious(browser, large, is_dark):
    browser.dark(is_dark=is_dark)
    try:
        browser.open(f"/ui#/jobs/{large['key']}?task=1&line=2&find=t")
        wait_marked(browser, "two")
        browser.wait_for(".found", "2 lines")
        assert browser.barriers() == []
    finally:
        browser.dark(is_dark=False)
