"""What the site has beside docs/: results, the repository's own pages, and notebooks as pages. A hook of MkDocs.

Pages link each other by their places in the repository, so that links work on a Git host, too. Here docs/ is the root
of the site, and a link is rewritten to where its target lies then.
"""

import json
import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parent.parent
BESIDE = ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "README.md", "LICENSE", "CITATION.cff")
"""Pages at the repository's root that are pages of the site, too."""
LINK = re.compile(r"(?<!!)\[([^\]]*)\]\(([^)\s#]+)(#[^)\s]*)?\)|(!\[[^\]]*\]\()([^)\s]+)(\))")
ELSEWHERE = ("benchmarks/", "scripts/", "src/", "tests/")
"""Folders of the repository that the site leaves out: what links into them is shown without its link."""
HOSTED = re.compile(r"[a-z]+:|/")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what lies beside docs/, and turn notebooks into pages."""
    for file in list(files):
        if file.src_uri.endswith(".ipynb"):
            files.remove(file)
            text = page_of_notebook(Path(file.abs_src_path or "").read_text(encoding="utf-8"))
            files.append(File.generated(config, f"{file.src_uri}.md", content=text))
    beside = [ROOT / name for name in BESIDE if (ROOT / name).exists()]
    for path in [*beside, *sorted((ROOT / "results").rglob("*"))]:
        place = path.relative_to(ROOT).as_posix()
        if path.is_file() and (path.parent == ROOT or path.suffix in (".md", ".json", ".png", ".svg")):
            name = "repository.md" if place == "README.md" else place
            files.append(File.generated(config, name, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Rewrite the links of a page from places in the repository to places on the site."""
    uri = page.file.src_uri
    if uri.startswith("results/raw/"):  # tables of numbers would crowd the guides out of the search
        page.meta["search"] = {"exclude": True}
    here = next((folder for folder in ("results/", *BESIDE) if uri.startswith(folder)), None)
    source = "README.md" if uri == "repository.md" else uri if here else f"docs/{uri}"
    return relinked(markdown, source, uri)


def relinked(markdown: str, source: str, uri: str) -> str:
    """The text of a page with its links as they are on the site.

    Args:
        markdown: the page.
        source: its place in the repository.
        uri: its place on the site.

    >>> relinked("[a](../results/b.md) [c](d.md) [e](../README.md)", "docs/x.md", "x.md")
    '[a](results/b.md) [c](d.md) [e](repository.md)'
    """

    def place(link: str) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(source), link))
        if target.endswith(".ipynb"):
            target += ".md"
        target = {"README.md": "repository.md", "results": "results/README.md"}.get(target, target)
        return posixpath.relpath(target.removeprefix("docs/"), posixpath.dirname(uri) or ".")

    def linked(found: re.Match[str]) -> str:
        text, link, part, image, picture, end = found.groups()
        if HOSTED.match(link or picture):
            return found[0]
        if image:
            return f"{image}{place(picture)}{end}"
        if posixpath.normpath(posixpath.join(posixpath.dirname(source), link)).startswith(ELSEWHERE):
            return str(text)
        return f"[{text}]({place(link)}{part or ''})"

    parts = re.split(r"(^```.*?^```|`[^`\n]*`)", markdown, flags=re.DOTALL | re.MULTILINE)
    return "".join(part if part.startswith("`") else LINK.sub(linked, part) for part in parts)


def page_of_notebook(text: str) -> str:
    """A notebook as a page: its words as they are, its code in blocks."""
    cells = json.loads(text)["cells"]
    code = [cell["cell_type"] == "code" for cell in cells]
    bodies = ["".join(cell["source"]) for cell in cells]
    return "\n\n".join(
        f"```python\n{body}\n```" if is_code else body for is_code, body in zip(code, bodies, strict=True)
    )
