"""Every relative link and picture of every page, as the files are: the file is there, and so is the heading."""

import json
import pathlib
import re
import urllib.parse

import checkout
import documents
import pytest
from conftest import ROOT

PAGES = [path.relative_to(ROOT).as_posix() for path in checkout.files("*.md", "*.html", "*.ipynb")]


def text_of(path):
    """Return the text of a page; of a notebook, that of its Markdown cells."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".ipynb":
        return text
    return "\n\n".join("".join(cell["source"]) for cell in json.loads(text)["cells"] if cell["cell_type"] == "markdown")


def broken(path, root, files):
    """Return what is wrong with the relative links of a page, a sentence for each.

    Args:
        path: of the page.
        root: folder of the checkout.
        files: all files of the checkout.
    """
    wrong = []
    for line, target in documents.links(text_of(path)):
        if re.match(r"[a-z][a-z0-9+.-]*:", target):
            continue  # to another host, or a picture inside the page
        name, _, anchor = urllib.parse.unquote(target).partition("#")
        to = pathlib.Path(path.parent, name).resolve() if name else path
        if to in files:
            if anchor and anchor not in documents.anchors(text_of(to)):
                wrong.append(f"line {line}: {target}: no such heading")
        elif anchor or not any(to in file.parents for file in files) or not to.is_relative_to(root):
            wrong.append(f"line {line}: {target}: no such file in the repository")
    return wrong


def test_the_pages_are_found():
    assert {"README.md", "CHANGELOG.md", "docs/images.md", "results/README.md", "examples/tour.ipynb"} <= set(PAGES)
    assert {f"results/{name}/report.{suffix}" for name in ("digits", "mnist") for suffix in ("md", "html")} <= set(PAGES)


@pytest.mark.parametrize("page", PAGES)
def test_every_relative_link_leads_somewhere(page):
    assert broken(ROOT / page, ROOT, set(checkout.files())) == []


def test_a_missing_file_and_a_missing_heading_are_found(tmp_path):
    (tmp_path / "docs").mkdir()
    page, other = tmp_path / "docs" / "a.md", tmp_path / "b.md"
    other.write_text("# The β = 0.5, *at* `equal` rate\n## Twice\n## Twice\n```\n# no heading\n```\n")
    page.write_text(
        "# Here\n[good](../b.md#the-β--05-at-equal-rate) [good](../b.md#twice-1) [good](#here) [out](https://example.org/none)\n"
        "`[code](none)` [a folder](.) [![bad](none.png)](../b.md#twice)\n[bad](../c.md) [bad](../b.md#no-heading)\n"
        '[bad](../b.md#twice-2)\n[bad](#there) [bad](..%2F..)\n```\n[code](none)\n```\n<img src="none.gif">\n[reference]: none.md\n'
    )
    assert [sentence.split(": ")[:2] for sentence in broken(page, tmp_path, {page, other})] == [
        ["line 3", "none.png"],
        ["line 4", "../c.md"],
        ["line 4", "../b.md#no-heading"],
        ["line 5", "../b.md#twice-2"],
        ["line 6", "#there"],
        ["line 6", "..%2F.."],
        ["line 10", "none.gif"],
        ["line 11", "none.md"],
    ]
