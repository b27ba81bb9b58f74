"""The HTML pieces of the report: one page that needs no other file, in light and in dark."""

import base64
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any, NamedTuple

from nids_jax.report.conditions import Table

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<title>{title}</title>
<style>
:root {{ --text: #1f2328; --soft: #57606a; --line: #d8dee4; --page: #ffffff; --card: #f6f8fa; --mark: #0072b2; --warn: #d55e00; }}
@media (prefers-color-scheme: dark) {{
  :root {{ --text: #e6edf3; --soft: #9da7b1; --line: #30363d; --page: #0d1117; --card: #161b22; --mark: #56b4e9; --warn: #e69f00; }}
}}
* {{ box-sizing: border-box; }}
body {{ margin: 0 auto; max-width: 72rem; overflow-wrap: anywhere; padding: 2.5rem 1.5rem 5rem; color: var(--text); background: var(--page);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }}
h1 {{ font-size: 1.9rem; line-height: 1.2; margin: 0 0 .5rem; letter-spacing: -.01em; }}
h2 {{ font-size: 1.25rem; margin: 2.8rem 0 .8rem; padding-bottom: .35rem; border-bottom: 1px solid var(--line); }}
h3 {{ font-size: 1rem; margin: 1.6rem 0 .5rem; }}
p {{ margin: .5rem 0; max-width: 48rem; }}
ul {{ margin: .5rem 0; padding-left: 1.2rem; max-width: 54rem; }}
li {{ margin: .3rem 0; }}
.verdict {{ list-style: none; padding: 0; }}
.verdict li {{ background: var(--card); border-left: 4px solid var(--mark); border-radius: 4px; padding: .7rem 1rem; margin: .6rem 0; }}
.notice {{ border-left: 4px solid var(--warn); background: var(--card); border-radius: 4px; padding: .7rem 1rem; }}
.note, figcaption {{ color: var(--soft); font-size: .875rem; }}
nav {{ background: var(--card); border-radius: 6px; padding: .6rem 1rem; margin: 1.2rem 0; }}
nav ul {{ list-style: none; display: flex; flex-wrap: wrap; gap: .2rem 1.1rem; padding: 0; margin: 0; max-width: none; }}
a {{ color: var(--mark); }}
.wide {{ overflow-x: auto; }}
.hint {{ display: none; color: var(--soft); font-size: .8125rem; margin: 0 0 .2rem; }}
.cut > .hint {{ display: block; }}
table {{ border-collapse: collapse; font-size: .875rem; font-variant-numeric: tabular-nums; }}
th, td {{ text-align: left; padding: .38rem 1.1rem .38rem 0; border-bottom: 1px solid var(--line); white-space: nowrap; vertical-align: top; }}
th {{ color: var(--soft); font-weight: 600; }}
th.n, td.n {{ text-align: right; }}
th button {{ all: unset; cursor: pointer; }}
th button:focus-visible {{ outline: 2px solid var(--mark); }}
th[aria-sort=ascending] button::after {{ content: " ▲"; }}
th[aria-sort=descending] button::after {{ content: " ▼"; }}
.pairs td {{ white-space: normal; overflow-wrap: anywhere; }}
.pairs td:first-child {{ color: var(--soft); white-space: nowrap; }}
figure {{ margin: 1rem 0; }}
figure img {{ display: block; height: auto; border: 1px solid var(--line); border-radius: 6px; padding: .6rem; }}
figcaption {{ margin-top: .5rem; }}
pre {{ background: var(--card); border: 1px solid var(--line); border-radius: 6px; padding: .8rem 1rem; white-space: pre-wrap;
  overflow-wrap: anywhere; font: .8125rem/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }}
@media print {{ section {{ break-inside: avoid; }} }}
</style>
</head>
<body>
<h1>{title}</h1>
{body}
<script>
for (const wide of document.querySelectorAll(".wide")) {{
  const look = () => wide.parentElement.classList.toggle("cut", wide.scrollWidth > wide.clientWidth + 1);
  new ResizeObserver(look).observe(wide);
}}
const value = cell => {{
  const text = cell.textContent.replaceAll(",", "").replaceAll("−", "-");
  return parseFloat(text.match(/^[+-]?[0-9.]+(e[+-]?[0-9]+)?/i)?.[0] ?? "NaN");
}};
for (const head of document.querySelectorAll("thead th")) {{
  head.querySelector("button").onclick = () => {{
    const up = head.ariaSort !== "ascending", place = head.cellIndex, body = head.closest("table").tBodies[0];
    for (const other of head.parentElement.cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const order = (a, b) => {{
      const [x, y] = [value(a.cells[place]), value(b.cells[place])];
      if (isNaN(x) || isNaN(y)) {{
        if (isNaN(x) !== isNaN(y)) return isNaN(x) ? 1 : -1;
        const words = a.cells[place].textContent.localeCompare(b.cells[place].textContent);
        return up ? words : -words;
      }}
      return up ? x - y : y - x;
    }};
    body.append(...[...body.rows].sort(order));
  }};
}}
</script>
</body>
</html>
"""  # noqa: E501 (a line per rule reads best)
NUMBER = re.compile(r"[+−-]?[0-9][0-9.,]*( %|%|e[+-]?[0-9]+)?( \[.*\]†?)?")


class Section(NamedTuple):
    """A titled part of the page."""

    title: str
    content: str  # HTML


def page(title: str, opening: str, sections: Sequence[Section]) -> bytes:
    """The whole page: a title, what stands above the contents, the contents, and the sections.

    Args:
      opening: HTML.
    """
    names = [_anchor(number, each.title) for number, each in enumerate(sections)]
    contents = "".join(
        f'<li><a href="#{name}">{escape(each.title)}</a></li>' for name, each in zip(names, sections, strict=True)
    )
    parts = [opening, f'<nav aria-label="Contents"><ul>{contents}</ul></nav>'] if len(sections) > 1 else [opening]
    parts += [
        f'<section id="{name}"><h2>{escape(each.title)}</h2>\n{each.content}</section>'
        for name, each in zip(names, sections, strict=True)
    ]
    text = PAGE.format(title=escape(title), body="\n".join(filter(None, parts)))
    return text.encode("utf-8", "replace")


def _anchor(number: int, title: str) -> str:
    words = re.sub("[^a-z0-9]+", "-", title.lower())[:60].strip("-")
    return f"{words}-{number + 1}" if words else f"part-{number + 1}"


def paragraph(text: str, kind: str = "") -> str:
    """Plain text as a paragraph."""
    return f'<p class="{kind}">{escape(text)}</p>' if kind else f"<p>{escape(text)}</p>"


def items(lines: Iterable[str], kind: str = "") -> str:
    """Lines of plain text as a list."""
    opening = f'<ul class="{kind}">' if kind else "<ul>"
    return opening + "".join(f"<li>{escape(line)}</li>" for line in lines) + "</ul>"


def definitions(values: Mapping[str, Any]) -> str:
    """Names with their values; lists and tables as JSON."""
    lines = "".join(f"<tr><td>{escape(str(name))}</td><td>{escape(_text(v))}</td></tr>" for name, v in values.items())
    return f'<table class="pairs">{lines}</table>'


def image(svg: bytes, alt: str, caption: str = "", data: tuple[str, str] | None = None) -> str:
    """A figure as part of the page.  On a narrow screen it is scrolled, not shrunk until nothing can be read.

    Args:
      alt: what it shows, for those who do not see it.
      data: a file name and the CSV text of what is drawn, to be downloaded.
    """
    source = base64.b64encode(svg).decode()
    wide = 4 / 3 * float(_WIDTH.search(svg)[1])  # pyright: ignore[reportOptionalSubscript]
    size = f"width: min({wide:.0f}px, max(100%, {0.8 * wide:.0f}px))"
    below = escape(caption)
    if data is not None and len(data[1]) <= LARGEST_DATA:
        name, text = data
        link = base64.b64encode(text.encode("utf-8", "replace")).decode()
        below += f' <a download="{escape(name)}" href="data:text/csv;base64,{link}">Data (CSV)</a>'
    below = f"<figcaption>{below}</figcaption>" if below else ""
    shown = f'<img alt="{escape(alt)}" style="{size}" src="data:image/svg+xml;base64,{source}">'
    return f'<figure>{HINT}<div class="wide">{shown}</div>{below}</figure>'


HINT = '<p class="hint">Wider than the screen: scroll sideways.</p>'
LARGEST_DATA = 200_000  # characters of a figure's data that the page takes in
_WIDTH = re.compile(rb'<svg[^>]* width="([0-9.]+)pt"')


def table(content: Table) -> str:
    """A table with its title and note."""
    columns = list(zip(*content.rows, strict=True)) or [()] * len(content.header)
    kinds = [' class="n"' if _numeric(column) else "" for column in columns]
    head = "".join(
        f'<th scope="col"{kind}><button type="button">{escape(text)}</button></th>'
        for kind, text in zip(kinds, content.header, strict=True)
    )
    lines = "".join(
        f"<tr>{''.join(f'<td{kind}>{escape(text)}</td>' for kind, text in zip(kinds, row, strict=True))}</tr>"
        for row in content.rows
    )
    note = paragraph(content.note, "note") if content.note else ""
    return (
        f"<h3>{escape(content.title)}</h3><div>{HINT}"
        f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table></div></div>{note}\n'
    )


def _numeric(column: Sequence[str]) -> bool:
    """Whether a column holds numbers, with or without intervals; – stands for none."""
    known = [cell for cell in column if cell not in ("–", "")]
    return bool(known) and all(NUMBER.fullmatch(cell) for cell in known)


def _text(value: Any) -> str:
    if isinstance(value, bool | None):
        return {True: "yes", False: "no", None: "–"}[value]
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, list) and all(isinstance(item, str | int | float) for item in value):
        return ", ".join(str(item) for item in value)
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else str(value)
