"""Headless Chromium for tests: where it is, and how it starts here."""

from __future__ import annotations

import shutil
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
DRIVER = "chromedriver"
WINDOW = (1600, 1000)
SECONDS_TO_LOAD = 180

# No sandbox, since CI runs as root; the rest keeps the browser from talking to anybody but our server.
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def missing_programs() -> str | None:
    """What of Chromium and its driver is not there, as a sentence that says what to do; None if both are."""
    browser = any(map(shutil.which, BROWSERS))
    if browser and shutil.which(DRIVER):
        return None
    missing = DRIVER if browser else "Chromium"
    return f"{missing} was not found: install it for this test (Debian: apt-get install chromium chromium-driver)."


def start_browser(profile: Path) -> webdriver.Chrome:
    """A browser that keeps its files in the empty folder `profile`; quit it when done."""
    options = Options()
    options.binary_location = str(next(filter(None, map(shutil.which, BROWSERS))))
    for flag in (*FLAGS, f"--user-data-dir={profile}", f"--window-size={WINDOW[0]},{WINDOW[1]}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(shutil.which(DRIVER)))
    driver.set_page_load_timeout(SECONDS_TO_LOAD)
    driver.set_script_timeout(SECONDS_TO_LOAD)
    return driver
