from common.run import Run


def test_smoke(finished_chat_run: Run) -> None:
    import json

    r = json.loads(finished_chat_run.results.read_text())
    print(
        json.dumps({k: r[k] for k in ("metrics", "baselines", "failed", "inference", "slices", "selective")}, indent=0)[
            :3000
        ]
    )
    import subprocess

    print(subprocess.run(["find", str(finished_chat_run.folder), "-type", "f"], capture_output=True, text=True).stdout)
    assert 0
