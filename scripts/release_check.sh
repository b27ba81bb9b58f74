#!/bin/bash
# Builds the sdist and, from it, the wheel; checks both; installs the wheel with each Python of 3.11 to 3.13 that is there
# and uses it outside the checkout.  What it builds stays in dist/.
#
# usage: scripts/release_check.sh PYTHON    (PYTHON has build, twine and check-wheel-contents)
set -euo pipefail
python=$(realpath --no-symlinks "$1")
root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export PYTHONPATH= PIP_DISABLE_PIP_VERSION_CHECK=1

rm -rf "$root/dist"
"$python" -m build --outdir "$root/dist" "$root" >"$work/build.log" || { tail -20 "$work/build.log"; exit 1; }
"$python" -m twine check --strict "$root"/dist/*
"$python" -m check_wheel_contents "$root"/dist/*.whl
tar tzf "$root"/dist/*.tar.gz >"$work/files"
for each in tests/test_api.py docs/index.md experiments/fewshot.py CITATION.cff constraints.txt nids_jax/py.typed; do
  grep -q "/$each$" "$work/files" || { echo "error: the sdist lacks $each"; exit 1; }
done

tested=
for version in 3.11 3.12 3.13; do
  if ! "python$version" -c "" 2>/dev/null; then
    echo "Python $version: not on this machine"
    continue
  fi
  "python$version" -m venv "$work/$version"
  cd "$work"
  "$version/bin/pip" install --quiet -c "$root/constraints.txt" "$root"/dist/*.whl
  size=$(du -sm "$version" | cut -f1)
  run="$work/$version/bin/nids_jax"
  "$run" --version
  mkdir "out$version"
  "$run" simulate --tools=benign,hulk --flows=30 --output="out$version/flows.csv" >/dev/null
  "$run" compare "out$version/flows.csv" "out$version/flows.csv" --output_dir="out$version/compare" >/dev/null
  "$run" fewshot --dataset=cicids2018_sample --preset=demo --seeds=1 --generators=real,smote \
    --classifiers=random_forest --output_dir="out$version/fewshot" >/dev/null 2>&1
  "$version/bin/python" - <<'CODE'
import nids_jax, pathlib
assert (pathlib.Path(nids_jax.__file__).parent / "py.typed").exists()
assert len(nids_jax.load("cicids2018_sample", progress=False)[0]) > 400
CODE
  ls "out$version/compare/report.html" "out$version/fewshot/report.html" >/dev/null
  echo "Python $version: installed ($size MB with Python's own files), meters, compares and trains outside the checkout"
  tested=yes
  rm -rf "${work:?}/$version"
done
[ -n "$tested" ] || { echo "error: none of Python 3.11, 3.12, 3.13 is on this machine"; exit 1; }
