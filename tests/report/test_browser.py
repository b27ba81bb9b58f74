"""The report in a browser: no sideways scrolling of the page, no errors, sorting, light and dark."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from nids_jax.report.page import build_report
from tests.report.example import write_example

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")

# What the page says of itself, as JSON in its title, once it has drawn its hints: on a busy machine that takes a while.
PROBE = """<script>
const hints = () => [...document.querySelectorAll(".cut > .hint")].filter(hint => hint.offsetHeight > 0).length;
const cut = each => each.scrollWidth > each.clientWidth + 1;
const wide = () => [...document.querySelectorAll(".wide")].filter(cut).length;
const probe = tries => setTimeout(() => {
  if (hints() !== wide() && tries) return probe(tries - 1);
  const heads = [...document.querySelectorAll("thead th")], tables = [...document.querySelectorAll("thead")];
  const numbers = heads.filter(head => head.className === "n")[0], body = numbers.closest("table").tBodies[0];
  const column = () => [...body.rows].map(row => row.cells[numbers.cellIndex].textContent);
  numbers.querySelector("button").click();
  const up = column();
  numbers.querySelector("button").click();
  document.title = JSON.stringify({
    page: document.documentElement.scrollWidth, screen: document.documentElement.clientWidth,
    hints: hints(), wide: wide(),
    figures: [...document.images].map(image => [image.naturalWidth, image.clientWidth, image.alt.length]),
    align: getComputedStyle(numbers).textAlign, up: up, down: column(), tables: tables.length,
  });
}, 300);
addEventListener("load", () => probe(8));
</script></body>"""


def browse(folder: Path, *options: str) -> subprocess.CompletedProcess:
    command = [
        *(str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--enable-logging=stderr"),
        *(f"--user-data-dir={folder / 'profile'}", "--virtual-time-budget=4000", *options),
    ]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("browser")
    path = build_report(write_example(folder / "run", seeds=2))
    probed = folder / "probed.html"
    probed.write_text(path.read_text(encoding="utf-8").replace("</body>", PROBE), encoding="utf-8")
    return probed


@pytest.mark.parametrize("width", [390, 1400])
def test_nothing_overflows_and_nothing_fails(page, tmp_path, width):
    # Chromium opens no window narrower than 500 pixels, but a frame may be.
    frame = tmp_path / "frame.html"
    frame.write_text(
        f'<iframe id="f" style="width:{width}px;height:900px;border:0" srcdoc=""></iframe>'
        f"<script>f.onload = () => setInterval(() => document.title = f.contentDocument.title, 100);"
        f"f.removeAttribute('srcdoc'); f.src = {json.dumps(page.as_uri())}</script>"
    )
    done = browse(
        tmp_path,
        f"--window-size={max(width, 600)},1000",
        "--allow-file-access-from-files",
        "--dump-dom",
        frame.as_uri(),
    )
    assert "CONSOLE" not in done.stderr, done.stderr
    title = re.search("<title>(.*?)</title>", done.stdout)
    assert title, done.stdout[:2000]
    found = json.loads(title[1].replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", '"'))
    assert found["screen"] == width
    assert found["page"] <= width
    assert found["hints"] == found["wide"]
    assert (found["wide"] > 3) == (width < 500)
    assert found["align"] == "right"
    numbers = [float(cell.split()[0]) for cell in found["up"] if cell != "–"]
    assert numbers == sorted(numbers)
    assert [cell for cell in found["down"] if cell != "–"] == [cell for cell in found["up"] if cell != "–"][::-1]
    for natural, shown, alt in found["figures"]:
        assert natural > 200  # it could be drawn
        assert shown > 0.75 * natural  # 9 points are 9 pixels at least
        assert alt > 30


def test_figures_follow_the_dark_mode(page, tmp_path):
    shots = {}
    for mode, option in (
        ("light", "--blink-settings=preferredColorScheme=1"),
        ("dark", "--blink-settings=preferredColorScheme=0"),
    ):
        shot = tmp_path / f"{mode}.png"
        done = browse(tmp_path, "--window-size=1400,6000", option, f"--screenshot={shot}", page.as_uri())
        assert shot.exists(), done.stderr
        shots[mode] = imread(shot)[..., :3]
    light, dark = shots["light"].mean(axis=2), shots["dark"].mean(axis=2)
    assert light.shape == dark.shape
    # Confusion matrices and maps keep a light ground in both; nothing else does.
    assert np.median(light) > 0.9
    assert np.median(dark) < 0.15
    assert (dark > 0.9).mean() < 0.08
