"""The HTML pieces of the report: one page that needs no other file, in light and in dark."""

import base64
import json
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

from nids_jax.report.conditions import Table

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>
:root {{ --text: #1f2328; --soft: #57606a; --line: #d8dee4; --page: #ffffff; --card: #f6f8fa; --mark: #0072b2; --warn: #d55e00; }}
@media (prefers-color-scheme: dark) {{
  :root {{ --text: #e6edf3; --soft: #9da7b1; --line: #30363d; --page: #0d1117; --card: #161b22; --mark: #56b4e9; --warn: #e69f00; }}
}}
* {{ box-sizing: border-box; }}
body {{ margin: 0 auto; max-width: 72rem; padding: 2.5rem 1.5rem 5rem; color: var(--text); background: var(--page);
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
.wide {{ overflow-x: auto; }}
table {{ border-collapse: collapse; font-size: .875rem; font-variant-numeric: tabular-nums; }}
th, td {{ text-align: left; padding: .38rem 1.1rem .38rem 0; border-bottom: 1px solid var(--line); white-space: nowrap; vertical-align: top; }}
th {{ color: var(--soft); font-weight: 600; }}
.pairs td {{ white-space: normal; overflow-wrap: anywhere; }}
.pairs td:first-child {{ color: var(--soft); white-space: nowrap; }}
figure {{ margin: 1rem 0; }}
figure img {{ display: block; max-width: 100%; height: auto; background: #fff; border: 1px solid var(--line); border-radius: 6px; padding: .6rem; }}
figcaption {{ margin-top: .5rem; }}
pre {{ background: var(--card); border: 1px solid var(--line); border-radius: 6px; padding: .8rem 1rem; white-space: pre-wrap;
  overflow-wrap: anywhere; font: .8125rem/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }}
@media print {{ section {{ break-inside: avoid; }} }}
</style>
</head>
<body>
<h1>{title}</h1>
{body}
</body>
</html>
"""  # noqa: E501 (a line per rule reads best)


def section(title: str, content: str) -> str:
    """A titled part of the page; `content` is HTML."""
    return f"<section><h2>{escape(title)}</h2>\n{content}</section>"


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
    return f'<div class="wide"><table class="pairs">{lines}</table></div>'


def image(title: str, png: bytes, caption: str = "") -> str:
    """A figure as part of the page."""
    source = base64.b64encode(png).decode()
    below = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    return f'<figure><img alt="{escape(title)}" src="data:image/png;base64,{source}">{below}</figure>'


def table(content: Table) -> str:
    """A table with its title and note."""
    head = "".join(f"<th>{escape(text)}</th>" for text in content.header)
    lines = "".join(f"<tr>{''.join(f'<td>{escape(text)}</td>' for text in row)}</tr>" for row in content.rows)
    note = paragraph(content.note, "note") if content.note else ""
    return (
        f'<h3>{escape(content.title)}</h3><div class="wide"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{lines}</tbody></table></div>{note}\n"
    )


def _text(value: Any) -> str:
    if isinstance(value, bool | None):
        return {True: "yes", False: "no", None: "–"}[value]
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, list) and all(isinstance(item, str | int | float) for item in value):
        return ", ".join(str(item) for item in value)
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else str(value)
