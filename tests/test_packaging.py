"""What an installation and a release say of themselves, without building one (`make release-check` does)."""

import importlib.util
import re
import tomllib
from pathlib import Path

import nids_jax
from nids_jax import store

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_the_description_has_whole_addresses_of_files_that_are_there():
    spec = importlib.util.spec_from_file_location("setup", ROOT / "setup.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    text = module.description()
    links = re.findall(r"(!?)\[[^\]]*\]\(([^)\s]+)\)", text)
    assert len(links) > 10
    home = PROJECT["urls"]["Repository"]
    raw = home.replace("github.com", "raw.githubusercontent.com")
    for image, link in links:
        start = f"{raw}/main/" if image else f"{home}/blob/main/"
        assert link.startswith(start), link
        assert (ROOT / link.removeprefix(start).partition("#")[0]).is_file(), link
    assert any(image for image, _ in links)
    plain = re.sub(r"\]\([^)]*\)", "]()", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert re.sub(r"\]\([^)]*\)", "]()", text) == plain


def test_all_places_agree_on_the_version_the_address_and_the_pythons():
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {PROJECT['version']}\n" in citation
    assert f"\nrepository-code: {PROJECT['urls']['Repository']}\n" in citation
    assert f"\nlicense: {PROJECT['license']}\n" in citation
    named = [c.rpartition(" ")[2] for c in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", c)]
    assert PROJECT["requires-python"] == f">={named[0]}"
    workflow = (ROOT / ".github" / "workflows" / "check.yml").read_text(encoding="utf-8")
    matrix = re.search(r"python: \[(.*)\]", workflow)
    assert matrix is not None
    assert re.findall(r"[\d.]+", matrix[1]) == named
    script = (ROOT / "scripts" / "release_check.sh").read_text(encoding="utf-8")
    assert f"for version in {' '.join(named)}; do" in script
    for target in re.findall(r"run: make (\S+)", workflow):
        assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE), target


def test_the_package_is_typed_and_records_tell_versions():
    assert (Path(nids_jax.__file__).parent / "py.typed").is_file()
    found = store.versions()
    assert {"python", "numpy", "jax", "scikit-learn", "pandas"} <= found.keys()
    assert found["numpy"] == __import__("numpy").__version__
    assert found.items() <= store.provenance("x").items()
