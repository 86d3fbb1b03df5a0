"""The floors of docs/architecture.md: imports point down only, and the door loads nothing heavy."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "src" / "textlstm"

FLOORS = [
    {"errors", "arrays", "figure_text", "html_pages", "tracks"},
    {"config", "storage", "processes", "vocabulary"},
    {"text", "models", "evaluation"},
    {"corpus", "embeddings", "model_card", "model_folder", "saved_model", "training"},
    {"inference", "teaching"},
    {"fitting", "labelling", "explain", "serving", "tracking", "sweeping"},
    {"stages"},
    {"cli", "__main__", "library", "__init__", "sklearn", "spacy", "datasets"},
]
FLOOR_OF = {room: height for height, rooms in enumerate(FLOORS) for room in rooms}
DOORS = {"sklearn", "spacy", "datasets"}
SIDEWAYS = {"evaluation", "labelling", "explain", "tracking"}
FORBIDDEN_MODULES = {"pickle", "joblib", "dill", "cloudpickle", "shelve", "marshal"}
FORBIDDEN_CALLS = {"exec", "eval", "compile", "__import__"}


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports_of(path: Path) -> list[str]:
    names = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return names


def upward_imports(sources: list[tuple[str, str]]) -> list[str]:
    """Return 'room -> room' for every import that points up, or sideways among the rooms that may not know each other."""
    wrong = []
    for room, imported in sources:
        parts = imported.split(".")
        if parts[0] != "textlstm" or len(parts) < 2 or parts[1] not in FLOOR_OF:
            continue
        target = parts[1]
        if FLOOR_OF[target] > FLOOR_OF[room] or (target != room and {target, room} <= SIDEWAYS):
            wrong.append(f"{room} -> {target}")
    return wrong


def module_of(path: Path) -> str:
    parts = ("textlstm", *path.relative_to(PACKAGE).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def modules_of(name: str) -> set[str]:
    """Return the files of the package that importing `name` reads: the module itself, or the one that holds the name."""
    known = {module_of(path) for path in SOURCES}
    return {name} & known or {name.rpartition(".")[0]} & known


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Return the groups of files that import each other, each sorted."""
    reach = {module: set(targets) for module, targets in graph.items()}
    for middle in graph:
        for targets in reach.values():
            if middle in targets:
                targets.update(reach[middle])
    groups = {
        tuple(sorted(m for m in reach[module] if module in reach.get(m, ())))
        for module in graph
        if module in reach[module]
    }
    return [list(group) for group in sorted(groups)]


SOURCES = sorted(PACKAGE.rglob("*.py"))


def test_every_file_belongs_to_a_floor() -> None:
    assert sorted({room_of(path) for path in SOURCES} - set(FLOOR_OF)) == []


def test_imports_point_down() -> None:
    assert upward_imports([(room_of(path), name) for path in SOURCES for name in imports_of(path)]) == []


def test_no_file_imports_itself_through_others() -> None:
    graph = {module_of(path): {target for name in imports_of(path) for target in modules_of(name)} for path in SOURCES}
    assert circles(graph) == []


def test_a_circle_would_be_seen() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": set()}) == [["b", "c"]]


def test_an_upward_import_would_be_seen() -> None:
    assert upward_imports([("corpus", "textlstm.stages.train"), ("evaluation", "textlstm.tracking.run")]) == [
        "corpus -> stages",
        "evaluation -> tracking",
    ]


@pytest.mark.parametrize(
    ("owner", "library"),
    [
        ("text", "spacy"),
        ("text", "thinc"),
        ("tracking", "mlflow"),
        ("cli", "hydra"),
        ("inference", "onnx"),
        ("inference", "onnxruntime"),
        ("serving", "starlette"),
        ("serving", "uvicorn"),
    ],
)
def test_one_room_owns_each_library(owner: str, library: str) -> None:
    users = {room_of(path) for path in SOURCES if any(name.split(".")[0] == library for name in imports_of(path))}
    users -= DOORS & {library}  # the door to a library is named like it
    assert users <= {owner}, f"{library} is imported by {sorted(users)}"


def test_no_pickle_and_no_code_from_strings() -> None:
    found = []
    for path in SOURCES:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        found += [f"{path.name}: {name}" for name in imports_of(path) if name.split(".")[0] in FORBIDDEN_MODULES]
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                if called in FORBIDDEN_CALLS or called in ("torch.load", "torch.save", "np.load", "numpy.load"):
                    found.append(f"{path.name}: {called}")
    assert found == []


def test_door_loads_nothing_heavy() -> None:
    code = (
        "import sys, textlstm.cli, textlstm.config; "
        "from textlstm.cli import main; "
        "assert main(['--help']) == 0; assert main(['train', 'modle=bilstm']) == 2; "
        "assert main(['train', 'training.epochs=x']) == 2; assert main(['train', '--help']) == 0; "
        "print([m for m in ('torch', 'spacy', 'mlflow', 'datasets', 'pyarrow', 'sklearn', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("room", ["models.network", "training"])
def test_network_and_loop_import_with_torch_alone(room: str) -> None:
    code = (
        "import sys, importlib, pkgutil, importlib.abc\n"
        "class Block(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in {'spacy','mlflow','hydra','datasets','sklearn','pyarrow','scipy','pandas','safetensors','rich'}:\n"
        "            raise ImportError(name)\n"
        "sys.meta_path.insert(0, Block())\n"
        f"import textlstm.{room} as room\n"
        "names = [m.name for m in pkgutil.iter_modules(room.__path__)]\n"
        f"[importlib.import_module('textlstm.{room}.' + name) for name in names]\n"
        "print(len(names) > 2)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "True", done.stderr
