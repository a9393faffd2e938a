"""Who asks."""

import gradio as gr
import pytest
from gradio_client import Client
from starlette.datastructures import Headers

from apps.parts import visitors
from apps.parts.server import launch


@pytest.mark.parametrize(
    ("client", "forwarded", "space", "found"),
    [
        ("1.2.3.4", "", "", "1.2.3.4"),
        ("1.2.3.4", "9.9.9.9", "", "1.2.3.4"),  # anybody can write that
        ("10.0.0.1", "6.6.6.6, 9.9.9.9", "me/demo", "9.9.9.9"),
        ("10.0.0.1", "6.6.6.6\n9.9.9.9", "me/demo", "9.9.9.9"),  # a proxy that adds a header of its own
        ("10.0.0.1", "", "me/demo", "10.0.0.1"),
        ("::1", "", "", "::1"),
        ("::ffff:1.2.3.4", "", "", "1.2.3.4"),
        ("2001:db8:1:2:3:4:5:6", "", "", "2001:db8:1:2::/64"),
        ("10.0.0.1", "nonsense", "me/demo", "nonsense"),
        (None, "", "", ""),
    ],
)
def test_the_address_is_that_of_the_visitor(
    monkeypatch: pytest.MonkeyPatch, client: str | None, forwarded: str, space: str, found: str
) -> None:
    monkeypatch.setenv("SPACE_ID", space)
    headers = Headers(raw=[(b"x-forwarded-for", line.encode()) for line in forwarded.splitlines()])
    assert visitors.address(client, headers) == found
    if client and ":" in client and found.endswith("/64"):
        assert visitors.address("2001:db8:1:2:ffff::1", Headers()) == found


def test_a_handler_knows_whom_it_answers_and_tells_requests_apart() -> None:
    async def who() -> list[str]:
        return [visitors.visitor(), visitors.request()]

    with gr.Blocks() as blocks:
        gr.api(who, api_name="who")  # type: ignore[attr-defined]
    launch(blocks, prevent_thread_lock=True, quiet=True)
    try:
        client = Client(blocks.local_url, verbose=False)
        one, two = (client.predict(api_name="/who") for _ in range(2))
    finally:
        blocks.close()
    assert one[0] == two[0] == "127.0.0.1" and one[1] and two[1] and one[1] != two[1]
