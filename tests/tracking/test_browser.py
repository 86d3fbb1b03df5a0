"""The dashboard in a real browser: runs with figures, a run's settings, curves, dataset and artefacts."""

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from textlstm.config import TrackingConfig

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

STAGE = "import sys; from textlstm.cli.main import main; sys.exit(main(sys.argv[1:]))"
WAIT_SECONDS = 90.0
XSS_NAME = "<script>alert(1)</script>"
_HARMLESS = ("users/current", "ResizeObserver", "favicon")  # MLflow's own, on every page without logins

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def browser() -> "Iterator[Chrome]":
    """Headless Chromium, or a skip that says why."""
    selenium = pytest.importorskip("selenium.webdriver", reason="no selenium: install the extra `dev`")
    binary = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if not binary or not driver:
        pytest.skip("no chromium with chromedriver on PATH")
    options = selenium.ChromeOptions()
    options.binary_location = binary
    for switch in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-proxy-server"):
        options.add_argument(switch)
    options.add_argument("--window-size=1800,1000")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    chrome = selenium.Chrome(options=options, service=selenium.ChromeService(driver))
    yield chrome
    chrome.quit()


@pytest.fixture
def dashboard(config: TrackingConfig) -> "Iterator[Callable[[], str]]":
    """A function that starts the dashboard and returns the address it prints."""
    started: list[subprocess.Popen[str]] = []

    def start() -> str:
        command = [sys.executable, "-c", STAGE, "dashboard", f"tracking.dir={config.dir}", "port=5501"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(2)]
        assert lines[1].startswith("dashboard "), lines
        return lines[1].split()[1]

    yield start
    for process in started:
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 143


def _see(browser: "Chrome", *texts: str) -> str:
    """Wait until the page shows all `texts`; return what it shows."""
    deadline = time.monotonic() + WAIT_SECONDS
    shown = ""
    while time.monotonic() < deadline:
        shown = str(browser.find_element("tag name", "body").text)
        if all(text in shown for text in texts):
            return shown
        time.sleep(0.5)
    raise AssertionError(f"not shown: {[text for text in texts if text not in shown]}; the page shows: {shown[:2000]}")


def _script_errors(browser: "Chrome") -> list[str]:
    entries: list[dict[str, Any]] = browser.get_log("browser")  # type: ignore[no-untyped-call]
    messages = [entry["message"] for entry in entries if entry["level"] == "SEVERE"]
    return [message for message in messages if not any(harmless in message for harmless in _HARMLESS)]


def test_runs_table_and_run_page(
    browser: "Chrome",
    dashboard: Callable[[], str],
    config: TrackingConfig,
    tracked: Callable[..., str],
    tmp_path: Path,
) -> None:
    good = tracked(config, "lstm seed 1", correct=[row % 10 != 0 for row in range(200)], folder=tmp_path)
    tracked(config, XSS_NAME, correct=[row % 4 != 0 for row in range(200)], folder=tmp_path)
    address = dashboard()
    base = address.split("/#")[0]
    # The runs of the day with their figures, as the printed address opens them.
    browser.get(address)
    shown = _see(browser, "lstm seed 1", XSS_NAME, "test/accuracy", "test/macro_f1", "0.9", "0.75")
    assert "2 matching runs" in shown
    browser.save_screenshot(str(tmp_path / "runs.png"))
    # A run's page: settings, figures, dataset.
    browser.get(f"{base}/#/experiments/1/runs/{good}")
    _see(browser, "lstm seed 1", "model.encoder", "lstm", "test/macro_f1", "tiny", "Finished")
    browser.save_screenshot(str(tmp_path / "run.png"))
    # Curves.
    browser.get(f"{base}/#/experiments/1/runs/{good}/model-metrics")
    _see(browser, "validation_macro_f1", "Step")
    browser.save_screenshot(str(tmp_path / "curves.png"))
    # Artefacts.
    browser.get(f"{base}/#/experiments/1/runs/{good}/artifacts")
    _see(browser, "evaluation", "config.json")
    browser.save_screenshot(str(tmp_path / "artifacts.png"))
    assert _script_errors(browser) == []


def test_overview_page(
    browser: "Chrome", config: TrackingConfig, tracked: Callable[..., str], tmp_path: Path, client: Any
) -> None:
    from textlstm.tracking.overview import keep_overview

    tracked(config, "lstm seed 1", correct=[row % 10 != 0 for row in range(200)], folder=tmp_path)
    tracked(config, XSS_NAME, correct=[row % 4 != 0 for row in range(200)], folder=tmp_path)
    page = keep_overview(config, client)
    browser.get(page.as_uri())
    shown = _see(browser, "lstm seed 1", XSS_NAME, "0.9000", "0.7500", "[0.8800, 0.9200]")
    assert "1 min" in shown
    assert browser.execute_script("return document.querySelector('h1').innerText") == "textlstm"  # type: ignore[no-untyped-call]
    styled = "return getComputedStyle(document.querySelector('.dotline')).display"
    assert browser.execute_script(styled) == "grid"  # type: ignore[no-untyped-call]
    browser.save_screenshot(str(tmp_path / "overview.png"))
    assert _script_errors(browser) == []


def test_script_error_would_be_seen(browser: "Chrome", tmp_path: Path) -> None:
    """Negative control of `_script_errors`."""
    page = tmp_path / "broken.html"
    page.write_text("<!doctype html><script>throw new Error('on purpose')</script>")
    browser.get(page.as_uri())
    assert len(_script_errors(browser)) == 1
