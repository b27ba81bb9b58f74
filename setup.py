"""What pyproject.toml cannot say: the description is README.md, whose links lead nowhere outside a checkout."""

import re
import tomllib
from pathlib import Path

from setuptools import setup

ROOT = Path(__file__).parent


def description() -> str:
    """README.md with links into the repository as whole addresses."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    home = project["urls"]["Repository"]
    files = f"{home.replace('github.com', 'raw.githubusercontent.com')}/main"

    def whole(link: re.Match[str]) -> str:
        if re.match(r"[a-z]+:|#", link["to"]):
            return link[0]
        return f"{link['text']}({files if link['text'].startswith('!') else f'{home}/blob/main'}/{link['to']})"

    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return re.sub(r"(?P<text>!?\[[^\]]*\])\((?P<to>[^)\s]+)\)", whole, text)


if __name__ == "__main__":
    setup(long_description=description(), long_description_content_type="text/markdown")
