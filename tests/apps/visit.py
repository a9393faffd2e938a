"""A page in a real browser; KIT_SCREENSHOTS names a folder to keep the pictures in."""

import os
from pathlib import Path
from typing import Any, ClassVar


class Visit:
    """A page that remembers what went wrong on it and whom it called."""

    pictures: ClassVar[str] = ""  # what the names of kept pictures begin with

    def __init__(self, browser: Any, url: str, width: int = 1280, theme: str = "light"):
        self.page = browser.new_page(viewport={"width": width, "height": 900})
        self.errors: list[str] = []
        self.strangers: list[str] = []
        self.page.on("console", lambda message: self.errors.append(message.text) if message.type == "error" else None)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on(
            "request",
            lambda request: (
                None if request.url.startswith((url, "data:", "blob:")) else self.strangers.append(request.url)
            ),
        )
        self.page.goto(f"{url}?__theme={theme}")
        self.wait()

    def wait(self) -> None:
        """Until the page is there."""
        raise NotImplementedError

    def open(self, name: str) -> None:
        """Go to a tab: none is behind a menu, however narrow the page is."""
        self.page.get_by_role("tab", name=name).click()
        self.page.wait_for_timeout(400)

    def keep(self, name: str) -> None:
        if folder := os.environ.get("KIT_SCREENSHOTS"):
            Path(folder).mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=f"{folder}/{self.pictures}{name}.png", full_page=True)
