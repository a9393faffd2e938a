"""What a browser sees of the login and of an error."""

from typing import Any

import gradio as gr


def test_a_browser_logs_in(private: gr.Blocks, browser: Any) -> None:
    visit = browser.new_page()
    visit.goto(private.local_url)
    for password, seen in (("wrong", "Incorrect credentials."), ("a long password", "Refuse")):
        visit.get_by_label("Name").fill("me")
        visit.get_by_label("Password").fill(password)
        visit.get_by_role("button", name="Log in").click()
        visit.get_by_text(seen).first.wait_for()
    visit.close()


def test_an_error_shows_no_html_of_a_visitor(url: str, browser: Any) -> None:
    visit = browser.new_page()
    wrong: list[str] = []
    visit.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    visit.on("pageerror", lambda error: wrong.append(str(error)))
    visit.goto(url)
    hostile = "<a href=https://evil.example>in</a><img src=https://evil.example/x.png>[a](https://evil.example)"
    visit.get_by_label("A text").first.fill(hostile)
    visit.get_by_role("button", name="Refuse").click()
    toast = visit.get_by_test_id("toast-text")
    toast.wait_for()
    assert toast.locator("a, img").count() == 0
    assert hostile in toast.inner_text()
    visit.close()
    assert wrong == []
