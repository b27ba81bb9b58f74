"""The house's own rules: imports go down, modules stay short, library errors speak of arguments, public names exist."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import nids_jax

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "nids_jax"
# Each may import from its own room and from those above it; BUILD.md draws the same.
ROOMS = [
    ("errors", "settings", "progress"),
    ("locks", "files", "sheets", "folders", "compressed", "random", "runtime", "parallel", "machine", "compiled"),
    ("plugins",),
    ("store",),
    ("flows",),
    ("data",),
    ("nn", "diffusion"),
    ("training",),
    ("evaluation",),
    ("generators",),
    ("classifiers",),
    ("presets",),
    ("bundle",),
    ("detection",),
    ("pipeline",),
    ("protocols", "modelling"),
    ("report",),
    ("bulk", "api"),
    ("estimators",),
    ("cli",),
    ("__main__", "__init__"),
]
RANK = {room: rank for rank, rooms in enumerate(ROOMS) for room in rooms}
MODULES = sorted(PACKAGE.rglob("*.py"))


def room(module: Path) -> str:
    return module.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(module: Path) -> set[str]:
    """The rooms that a module imports from, functions included."""
    found = set()
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            inside = node.module == "nids_jax"
            names = [f"nids_jax.{each.name}" for each in node.names] if inside else [node.module]
        elif isinstance(node, ast.Import):
            names = [each.name for each in node.names]
        found |= {name.split(".")[1] for name in names if name.startswith("nids_jax.")}
    return found


def test_imports_go_down():
    assert {room(module) for module in MODULES} == set(RANK)
    up = [
        (str(module.relative_to(ROOT)), other)
        for module in MODULES
        for other in imported(module)
        if RANK[other] > RANK[room(module)]
    ]
    assert up == []


def test_nothing_of_the_package_imports_what_is_not_installed_with_it():
    """`experiments`, `benchmarks` and `tests` are of the checkout, not of the wheel."""
    for module in MODULES:
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
            name = node.module if isinstance(node, ast.ImportFrom) else None
            assert (name or "").split(".")[0] not in ("experiments", "benchmarks", "tests"), module
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["tool"]["setuptools"]["packages"]["find"]["include"] == ["nids_jax*"]


def test_modules_stay_short():
    folders = ("nids_jax", "experiments", "benchmarks")
    long = {
        str(module.relative_to(ROOT)): lines
        for folder in folders
        for module in (ROOT / folder).rglob("*.py")
        if (lines := len(module.read_text(encoding="utf-8").splitlines())) > 400
    }
    assert long == {}


def test_library_errors_speak_of_arguments_not_of_flags():
    for module in MODULES:
        if room(module) in ("cli", "__main__"):
            continue
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Raise) and node.exc is not None:
                texts = [each.value for each in ast.walk(node.exc) if isinstance(each, ast.Constant)]
                for text in texts:
                    assert not re.search(r"--[a-z]", str(text)), (module, text)


def test_the_public_names_are_there():
    for name in nids_jax.__all__:
        assert getattr(nids_jax, name) is not None
    assert nids_jax.generators.registry.GENERATORS is nids_jax.GENERATORS
    assert nids_jax.classifiers.registry.CLASSIFIERS is nids_jax.CLASSIFIERS
    assert re.fullmatch(r"\d+\.\d+.*|0\+unknown", nids_jax.__version__)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        nids_jax.nonsense  # noqa: B018 (looking it up is the test)


def test_importing_the_package_and_asking_for_help_imports_no_heavy_library():
    """JAX, SHAP, scikit-learn and pandas come when they are used: --help and `meter --help` answer at once."""
    code = """
import sys
import nids_jax
from nids_jax.__main__ import main
assert main(["--help"]) == main(["meter", "--help"]) == main(["--version"]) == 0
heavy = {"jax", "flax", "optax", "orbax", "shap", "sklearn", "pandas", "numpy", "scipy", "matplotlib"}
heavy |= {"numba", "pyarrow"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("usage: nids_jax COMMAND --flags")
    assert "--captures" in done.stdout
