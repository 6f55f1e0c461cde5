"""A real browser: Debian's chromium, driven by its own driver."""

import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException, WebDriverException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

_AXE = "axe-core-4.14.1/axe.min.js"
_WATCH = """
window.broken = [];
document.addEventListener("securitypolicyviolation", (e) =>
  broken.push(`${e.violatedDirective} ${e.blockedURI}`));
window.addEventListener("error", (e) => broken.push(`error: ${e.message}`));
window.addEventListener("unhandledrejection", (e) => broken.push(`rejected: ${e.reason}`));
"""


class Browser:
    """One browser. Use as a context manager.

    Args:
        address: where pages' paths begin.
    """

    def __init__(self, address: str) -> None:
        self.address = address

    def __enter__(self) -> Self:
        program, driver = shutil.which("chromium"), shutil.which("chromedriver")
        assert program, "no chromium: hack/browser/deps installs it"
        assert driver, "no chromedriver: hack/browser/deps installs it"
        options = webdriver.ChromeOptions()
        options.binary_location = program
        for argument in (
            "--headless=new",
            "--no-sandbox",  # tests run as root
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--window-size=1400,1000",
        ):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"performance": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=Service(driver))
        self.driver.set_script_timeout(60)
        self.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": _WATCH})
        return self

    def __exit__(self, *_: object) -> None:
        self.driver.quit()

    def open(self, path: str) -> None:
        """Go to a path, in a document that knows nothing of the one before."""
        self.driver.get("about:blank")
        self.driver.get(f"{self.address}{path}")

    def go(self, fragment: str) -> None:
        """Change what stands behind the # in the address."""
        self.run("location.hash = arguments[0]", fragment)

    def run(self, script: str, *arguments: Any) -> Any:
        """Run a script in the page."""
        return self.driver.execute_script(script, *arguments)

    def all(self, selector: str) -> list[WebElement]:
        """Find elements."""
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def text(self, selector: str = "body") -> str:
        """Return an element's text as a reader sees it; empty if there is none."""
        try:
            return "\n".join(element.text for element in self.all(selector))
        except StaleElementReferenceException:
            return ""

    def wait(self, until: Callable[[], Any], what: str = "", seconds: float = 40) -> Any:
        """Wait until something is true, and return it."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                if found := until():
                    return found
            except WebDriverException:
                pass
            assert time.monotonic() < deadline, f"{what}: {self.text()[:3000]}"
            time.sleep(0.05)

    def wait_for(self, selector: str, text: str = "", seconds: float = 40) -> None:
        """Wait until an element says something."""
        self.wait(
            lambda: self.all(selector) and text in self.text(selector),
            f"{selector} with {text!r}",
            seconds,
        )

    def click(self, selector: str, text: str = "") -> None:
        """Click an element, as soon as it is there."""

        def do() -> bool:
            for element in self.all(selector):
                if text in element.text and element.is_enabled():
                    element.click()
                    return True
            return False

        self.wait(do, f"{selector} with {text!r} to click")

    def press(self, *keys: str) -> None:
        """Press keys, one after the other, each for what has the focus then."""
        for key in keys:
            ActionChains(self.driver).send_keys(key).perform()

    def type(self, selector: str, text: str) -> None:
        """Put a text into a field, as if pasted."""
        self.wait(lambda: self.all(selector), selector)
        self.run(
            "const [field, text] = arguments; field.value = text;"
            " field.dispatchEvent(new Event('input', {bubbles: true}))",
            self.all(selector)[0],
            text,
        )

    def dark(self, *, is_dark: bool) -> None:
        """Be a browser whose reader likes it dark, or light."""
        value = "dark" if is_dark else "light"
        features = [{"name": "prefers-color-scheme", "value": value}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def broken(self) -> list[str]:
        """Return what was against the page's own policy, and what failed in it."""
        found: list[str] = self.run("return window.broken ?? []")
        return found

    def hosts_asked(self) -> set[str]:
        """Return which hosts it has sent requests to."""
        hosts = set()
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                url = message["params"]["request"]["url"]
                if url.startswith(("http:", "https:", "ws:", "wss:")):
                    hosts.add(url.split("/")[2])
        return hosts

    def barriers(self) -> list[str]:
        """Let axe-core look for barriers; return the serious ones."""
        self.run(axe_source() + "; window.axe = axe")
        found: list[str] = self.driver.execute_async_script(
            """
            const done = arguments[0];
            axe.run(document, {resultTypes: ["violations"]}).then((results) => done(
              results.violations.filter((v) => ["serious", "critical"].includes(v.impact)).map(
                (v) => `${v.id}: ${v.nodes.map(
                  (n) => n.target.join(" ") + " " + n.failureSummary).join("; ")}`
              )), (error) => done([String(error)]));
            """
        )
        return found


def axe_source() -> str:
    """Return axe-core's text."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    path = cache / "factotum-operator" / _AXE
    assert path.exists(), f"no {path}: hack/browser/deps fetches it"
    return path.read_text()
