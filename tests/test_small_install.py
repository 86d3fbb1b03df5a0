"""The small install: what it lists is what the project declares, and its steps label and serve in a bare venv."""

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
DEPLOY = ROOT / "deploy"
MOST_MEGABYTES = 500
ABSENT = ("torch", "mlflow", "pandas", "matplotlib", "sklearn", "scipy", "datasets")


def test_requirements_are_those_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = {*project["dependencies"], *project["optional-dependencies"]["onnx"]}
    lines = (DEPLOY / "requirements-label.txt").read_text().splitlines()
    listed = [line for line in lines if not line.startswith("#")]
    assert listed == sorted(listed)
    assert set(listed) - declared == set()


def test_the_examples_use_settings_that_there_are(tmp_path: Path) -> None:
    from textlstm.cli.settings import compose_config
    from textlstm.config import LabelConfig, ServeConfig

    docker = (DEPLOY / "Dockerfile").read_text()
    [command] = re.findall(r"^CMD (\[.*\])$", docker, re.MULTILINE)
    assert compose_config("serve", ServeConfig, json.loads(command)[1:]).allow_public
    [line] = re.findall(r"^ExecStart=(.*)$", (DEPLOY / "textlstm.service").read_text(), re.MULTILINE)
    assert compose_config("serve", ServeConfig, shlex.split(line)[2:]).port == 5001
    typed = re.findall(r"textlstm label (.*?) >>", (DEPLOY / "crontab.example").read_text())[0]
    typed = typed.replace("$(date -d yesterday +\\%F)", "2026-01-02")
    assert compose_config("label", LabelConfig, typed.split()).output == "out/2026-01-02.csv"
    subprocess.run(["sh", "-n", str(DEPLOY / "small_install.sh")], check=True)


@pytest.mark.long
def test_the_steps_of_the_image_label_and_serve_in_a_bare_venv(tiny_model: Path, tmp_path: Path) -> None:
    """Needs the package registry."""
    exported = tmp_path / "exported"
    command = [sys.executable, "-m", "textlstm", "export", f"model_dir={tiny_model}", f"output_dir={exported}"]
    subprocess.run([*command, f"tracking.dir={tmp_path}/t"], check=True, capture_output=True)
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path / "dist")]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    [wheel] = (tmp_path / "dist").glob("*.whl")
    venv = tmp_path / "venv"
    subprocess.run(["sh", str(DEPLOY / "small_install.sh"), str(wheel), str(venv)], check=True)
    environment = {"PATH": f"{venv}/bin:{os.environ['PATH']}", "HOME": str(tmp_path)}

    def run(*arguments: str) -> str:
        done = subprocess.run(arguments, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    (tmp_path / "in.csv").write_text("text\ngoal match coach\nbank share\n")
    assert run("textlstm", "--version").startswith("textlstm ")
    run("textlstm", "label", "model_dir=exported", "input=in.csv", "output=out.csv")
    assert [line.split(",")[1] for line in (tmp_path / "out.csv").read_text().splitlines()[1:]] == ["sport", "money"]

    # The first label in Python: none of the libraries of training is there.
    code = (
        "import importlib.util, time; start = time.perf_counter()\n"
        "from textlstm import TextClassifier\n"
        "label = TextClassifier.load('exported').predict(['goal match'])[0].label\n"
        f"found = [name for name in {ABSENT!r} if importlib.util.find_spec(name)]\n"
        "print(label, found, time.perf_counter() - start)"
    )
    first = run("python", "-c", code)
    assert first.startswith("sport [] ")
    num_bytes = sum(path.lstat().st_size for path in venv.rglob("*"))
    num_packages = len(list(venv.glob("lib/python3*/site-packages/*.dist-info")))
    sys.stdout.write(f"{num_bytes / 1e6:.0f} MB, {num_packages} packages, first label after {first.split()[-1]} s\n")
    assert num_bytes < MOST_MEGABYTES * 1e6

    # The server, as the image starts it.
    serve = ["textlstm", "serve", "model_dir=exported", "host=0.0.0.0", "allow_public=true", "port=5391"]
    with subprocess.Popen(serve, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        address = server.stdout.readline().split()[1].replace("0.0.0.0", "127.0.0.1")
        request = urllib.request.Request(address, b'{"inputs": ["bank"]}', {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            assert json.load(answer)["predictions"][0]["label"] == "money"
        server.terminate()
        assert server.wait(30) == 143
