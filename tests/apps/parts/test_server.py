"""The server's command line: who may come in, where it listens, what it says, and what it leaves behind."""

import argparse
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import httpx
import pytest

from apps.parts.server import PASSWORD_VARIABLE, command_line, others_come_in, own_names, serve, show
from apps.text_classification import build
from common.run import Run
from common.system.errors import UserError
from common.system.files import read_json, write_json

LONG = "a long password"
SERVE = """
import sys, gradio as gr
from apps.parts import server
from common.system.errors import exit_with_sentence

def build():
    with gr.Blocks(analytics_enabled=False) as blocks:
        file = gr.File()
        file.upload(lambda file: file, file, gr.File())
    return blocks

exit_with_sentence(lambda: server.serve(build, server.command_line("lessons").parse_args(), "the lessons"))
"""


WITHOUT_NETWORK = """
import gradio.networking

def unreachable(**_):
    raise RuntimeError("Could not get share link from Gradio API Server.")

gradio.networking.setup_tunnel = unreachable
"""


def not_asked_for() -> NoReturn:
    raise AssertionError("the model was asked for")


@pytest.mark.parametrize(
    ("options", "password", "sentence"),
    [
        (["--share"], LONG, "everybody on the internet could come in: say who may with --auth NAME"),
        (["--host", "0.0.0.0"], LONG, "every machine that can reach this one could come in"),
        (["--auth", "me:secret"], LONG, "every program on this machine can read a command line"),
        (["--auth", "me"], "", f"put it into the variable {PASSWORD_VARIABLE}"),
        (["--auth", "me", "--share"], "eleven chrs", "at least 12 characters"),
        (["--auth", "me", "--host", "0.0.0.0"], "a:b", "at least 12 characters"),
        (["--port", "70000"], LONG, "give one from 1 to 65535"),
        (["--host", "192.0.2.1", "--auth", "me"], LONG, "cannot listen at 192.0.2.1"),
        (["--host", "no-such-host.invalid", "--auth", "me"], LONG, "cannot listen at no-such-host.invalid"),
    ],
)
def test_what_cannot_be_served_is_refused_before_a_model_is_loaded(
    options: list[str], password: str, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PASSWORD_VARIABLE, password)
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(UserError, match=sentence):
        serve(not_asked_for, command_line("text_classification").parse_args(options), "a run")


def test_a_taken_port_is_refused_before_a_model_is_loaded() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(UserError, match=rf"port {port} of 127.0.0.1 cannot be had \(Address already in use\)"):
            serve(not_asked_for, command_line("text_classification").parse_args(["--port", str(port)]), "a run")


def test_a_public_link_that_cannot_be_made_is_said_in_a_sentence() -> None:
    command = [sys.executable, "-c", WITHOUT_NETWORK + SERVE, "--share", "--auth", "me"]
    environment = {**os.environ, PASSWORD_VARIABLE: LONG}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    warning, error = done.stderr.splitlines()
    assert warning.startswith("Warning: everybody with the address and the password")
    assert error == (
        "error: the public link could not be made, because no server of Gradio's gave one: "
        "check the network, or leave --share out."
    )


@pytest.mark.parametrize(
    ("options", "public"),
    [
        ([], False),
        (["--host", "localhost"], False),
        (["--host", "127.0.0.5"], False),
        (["--share"], True),
        (["--host", "0.0.0.0"], True),
        (["--host", "192.168.1.5"], True),
        (["--host", "localhost.example"], True),
    ],
)
def test_others_come_in_where_more_than_this_machine_can(options: list[str], public: bool) -> None:
    assert others_come_in(command_line("text_classification").parse_args(options)) is public


@pytest.mark.parametrize(
    "forged",
    [
        [],
        {"portfolio": []},
        {"portfolio": {"links": 7}},
        {"metric_kinds": {}},
        {"comparison": {"against": "x"}},
        {"examples_to_try": [1]},
    ],
    ids=str,
)
def test_the_results_of_a_stranger_are_refused_in_a_sentence(finished_run: Run, tmp_path: Path, forged: object) -> None:
    shutil.copytree(finished_run.folder, tmp_path / "run")
    results = read_json(finished_run.results)
    write_json(tmp_path / "run/results.json", {**results, **forged} if isinstance(forged, dict) else forged)
    arguments = argparse.Namespace(host="127.0.0.1", port=None, share=False, auth=None, corrections=False)
    with pytest.raises(UserError, match=r"run comes from another version of the kit \(.*`kit evaluate"):
        show(build, tmp_path / "run", arguments)


def test_names_of_this_machine_are_its_own() -> None:
    assert own_names("127.0.0.1") == {"127.0.0.1", "localhost", "::1"}
    assert own_names("0.0.0.0") == {"0.0.0.0", "localhost", socket.gethostname().lower()}


@pytest.fixture
def served(tmp_path: Path) -> Iterator["tuple[subprocess.Popen[str], str, str]"]:
    """A server in a process of its own whose temporary folder is empty, its first line, and its address."""
    environment = {**os.environ, "TMPDIR": str(tmp_path), "GRADIO_TEMP_DIR": ""}
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # whoever started the tests may ignore it
    )
    assert process.stdout
    line = process.stdout.readline()
    (url,) = re.findall(r"http://[\d.:]+", line) or [""]
    yield process, line, url
    process.kill()
    process.wait()


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_it_says_where_it_is_and_leaves_nothing(
    served: "tuple[subprocess.Popen[str], str, str]", tmp_path: Path, number: int, status: int
) -> None:
    process, line, url = served
    assert line == f"showing the lessons at {url}; Ctrl-C stops it\n"
    (file,) = httpx.post(f"{url}/gradio_api/upload", files={"files": ("a.txt", b"secret")}).json()
    assert Path(file).is_relative_to(tmp_path) and Path(file).read_bytes() == b"secret"
    with httpx.stream("GET", f"{url}/gradio_api/heartbeat/open") as page:
        assert page.status_code == 200
        started = time.monotonic()
        process.send_signal(number)
        assert process.wait(20) == status
        assert time.monotonic() - started < 10
    assert not list(tmp_path.glob("demo-*"))
    assert process.stdout and process.stdout.read() == ""
    assert process.stderr and len(process.stderr.read().splitlines()) == 1
