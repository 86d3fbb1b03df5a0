"""What is shipped: the wheel holds the choices, the templates and the type marker, and works outside the checkout."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    [path] = folder.glob("*.whl")
    return path


def test_wheel_holds_choices_templates_and_type_marker(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    choices = {f"textlstm/{path.relative_to(ROOT)}" for path in (ROOT / "conf").rglob("*.yaml")}
    package = ROOT / "src"
    data = {
        str(path.relative_to(package))
        for path in package.rglob("*")
        if path.suffix in (".txt", ".html", ".jinja", ".css")
    }
    assert sorted((choices | data | {"textlstm/py.typed"}) - names) == []


def test_unpacked_wheel_composes_outside_the_checkout(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(site)
    code = (
        "import textlstm, sys; from pathlib import Path; from textlstm.cli.settings import compose_config, conf_dir; "
        "from textlstm.config import RunConfig; "
        "print(conf_dir().relative_to(Path(sys.argv[1]).resolve())); "
        "print(compose_config('run', RunConfig, ['model=gru', 'text=fast']).model.encoder)"
    )
    environment = {**os.environ, "PYTHONPATH": str(site)}
    done = subprocess.run(
        [sys.executable, "-c", code, str(site)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["textlstm/conf", "gru"]


@pytest.mark.long
def test_installed_wheel_runs_the_pipeline_in_an_empty_folder(wheel: Path, tmp_path: Path) -> None:
    """Needs the package registry: installs the lock into an empty venv, as a user would."""
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
    pip = [str(venv / "bin" / "pip"), "install", "--quiet"]
    subprocess.run([*pip, "torch==2.13.0"], check=True)
    subprocess.run([*pip, "--no-deps", "--require-hashes", "-r", str(ROOT / "requirements.lock")], check=True)
    subprocess.run([*pip, "--no-deps", str(wheel)], check=True)
    empty = tmp_path / "empty"
    empty.mkdir()
    done = subprocess.run(
        [str(venv / "bin" / "textlstm"), "run"], cwd=empty, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (empty / "outputs" / "run" / "labelled.csv").is_file()
