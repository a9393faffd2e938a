"""What passes the gate in front of Gradio: routes, methods, hosts and pages of other sites."""

import socket
from pathlib import Path

import gradio as gr
import httpx
import pytest

from apps.parts import gate
from apps.parts.server import launch
from tests.apps.foundations.conftest import serving
from tests.apps.parts.gate.page import closed_anyway, page, routes_of, upload

# What Gradio serves and no demo needs; a route in neither list is new, and somebody has to decide.
CLOSED = {
    *("/monitoring", "/monitoring/summary", "/monitoring/{key}", "/pwa_icon", "/pwa_icon/{size}"),
    *("/gradio_api/deep_link", "/gradio_api/user", "/gradio_api/user/", "/gradio_api/login_check"),
    *("/gradio_api/login_check/", "/gradio_api/token", "/gradio_api/token/", "/gradio_api/dev/reload"),
    *("/gradio_api/runs", "/gradio_api/runs/", "/gradio_api/openapi.json"),
    "/gradio_api/custom_component/{id}/{environment}/{type}/{file_name}",
    *("/gradio_api/proxy={url_path:path}", "/gradio_api/file/{path:path}", "/gradio_api/process_recording"),
    *("/gradio_api/stream/{event_id}", "/gradio_api/stream/{event_id}/close"),
    *(
        f"/gradio_api/stream/{{session_hash}}/{{run}}/{{component_id}}/{rest}"
        for rest in ("playlist.m3u8", "{segment_id}.{ext}", "playlist-file")
    ),
    *("/gradio_api/run/{api_name}/", "/gradio_api/api/{api_name}", "/gradio_api/api/{api_name}/"),
    *("/gradio_api/call/{api_name}/", "/gradio_api/call/v2/{api_name}/", "/gradio_api/queue/status"),
    *("/gradio_api/component_server", "/gradio_api/component_server/"),
    *(f"/gradio_api/{vibe}{end}" for vibe in ("vibe-edit", "undo-vibe-edit", "vibe-code") for end in ("", "/")),
    *("/gradio_api/vibe-starter-queries", "/gradio_api/vibe-starter-queries/"),
}


def test_every_route_of_gradio_is_on_one_list(blocks: gr.Blocks) -> None:
    theirs = dict.fromkeys((path for path, _ in routes_of(blocks.app.routes)), None)
    new = theirs.keys() - gate.routes(uploads=True).keys() - CLOSED
    assert not new, f"Gradio has new routes, which the gate keeps closed: open or close them here: {sorted(new)}"
    assert gate.routes(uploads=True).keys() <= theirs.keys(), "the gate opens what Gradio does not have"


def test_what_no_demo_needs_is_not_there(blocks: gr.Blocks, url: str) -> None:
    assert closed_anyway(url, [one for one in routes_of(blocks.app.routes) if one[0] in CLOSED]) == []


def test_a_page_without_files_takes_none(tmp_path: Path) -> None:
    with serving(tmp_path) as lessons:
        more = {f"/gradio_api/{name}" for name in ("upload", "upload_progress")}
        routes = [one for one in routes_of(lessons.app.routes) if one[0] in CLOSED | more]
        assert closed_anyway(str(lessons.local_url), routes) == []


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_other_methods_are_not_there(url: str, method: str) -> None:
    for path in ("", "config", "gradio_api/queue/join", "gradio_api/upload"):
        assert httpx.request(method, f"{url}{path}").status_code == 404


@pytest.mark.parametrize("scheme", ["http://", "HTTPS://", "%68ttp://", "http%3A%2F%2F", " http://", "ftp://", ""])
def test_no_address_is_fetched(url: str, scheme: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        stranger.settimeout(0.2)
        address = f"127.0.0.1:{stranger.getsockname()[1]}/x.png"
        assert httpx.get(f"{url}gradio_api/file={scheme}{address}").status_code == 404
        with pytest.raises(TimeoutError):
            stranger.accept()


def test_a_file_is_whole_and_repeats_no_header(url: str) -> None:
    file = upload(url, content=b"0123456789")
    answer = httpx.get(f"{url}gradio_api/file={file}", headers={"range": "bytes=0-0", "cookie": "key=secret"})
    assert (answer.status_code, answer.content) == (200, b"0123456789")
    assert "secret" not in str(answer.headers)


def test_a_long_address_is_refused(url: str) -> None:
    assert httpx.get(f"{url}?{'a' * 5_000}").status_code == 414
    assert httpx.get(f"{url}gradio_api/heartbeat/{'a' * 65}").status_code == 404


# Hosts


def test_nobody_else_says_where_the_page_is(url: str) -> None:
    lies = {f"x-forwarded-{what}": "evil.example" for what in ("host", "proto", "prefix", "server")}
    for path in ("gradio_api/info", "config", ""):
        assert "evil.example" not in httpx.get(f"{url}{path}", headers={**lies, "x-gradio-server": "evil.example"}).text
        assert "evil.example" not in httpx.get(f"{url}{path}").text


@pytest.mark.parametrize("host", ["evil.example", "evil.example:7860", "6.6.6.6", "", "[::", "localhost.evil.example"])
def test_another_host_is_not_answered(url: str, host: str) -> None:
    answer = httpx.get(f"{url}config", headers={"host": host})
    assert answer.status_code in (400, 403) and "evil" not in answer.text


@pytest.mark.parametrize("more", ['"><script>', "/evil.example", "?evil", "#evil", ":evil", "\\evil"])
def test_a_host_is_a_name_and_a_port(url: str, more: str) -> None:
    for host in (f"127.0.0.1:7860{more}", f"127.0.0.1{more}", f"{more}@127.0.0.1"):
        assert httpx.get(f"{url}config", headers={"host": host}).status_code in (400, 403)


def test_localhost_is_this_host(url: str) -> None:
    assert httpx.get(f"{url.replace('127.0.0.1', 'localhost')}config").status_code == 200


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1", "http://[", "file://"])
def test_a_page_of_another_site_cannot_ask(url: str, origin: str) -> None:
    for method, path in (("GET", "config"), ("POST", "gradio_api/upload"), ("POST", "gradio_api/queue/join")):
        answer = httpx.request(method, f"{url}{path}", headers={"origin": origin})
        assert answer.status_code == 403 and answer.json()["detail"].startswith("A page of another site")
        assert not [name for name in answer.headers if name.startswith("access-control")]
    asked = {"origin": origin, "access-control-request-method": "POST"}
    answer = httpx.options(f"{url}gradio_api/queue/join", headers=asked)
    assert answer.status_code == 403 and not [name for name in answer.headers if name.startswith("access-control")]


def test_its_own_page_can_ask(url: str) -> None:
    answer = httpx.get(f"{url}config", headers={"origin": url.rstrip("/")})
    assert answer.status_code == 200 and not [name for name in answer.headers if name.startswith("access-control")]


def test_browsers_are_bound(url: str) -> None:
    for path in ("", "config", "gradio_api/token"):
        headers = httpx.get(f"{url}{path}").headers
        assert headers["x-content-type-options"] == "nosniff"
        assert "form-action 'self'" in headers["content-security-policy"]
        assert "img-src 'self' data: blob:;" in headers["content-security-policy"]


def test_an_address_of_its_own_may_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind a proxy of the owner's."""
    monkeypatch.setenv("GRADIO_ROOT_PATH", "https://demo.example")
    blocks = page()
    launch(blocks, prevent_thread_lock=True, quiet=True)
    try:
        answer = httpx.get(f"{blocks.local_url}config", headers={"host": "demo.example"})
        assert answer.json()["root"] == "https://demo.example"
        assert httpx.get(f"{blocks.local_url}config", headers={"host": "evil.example"}).status_code == 403
    finally:
        blocks.close()
