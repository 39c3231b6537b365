"""What tests read from Markdown: blocks of code, prose, headings and links."""

import dataclasses
import re

FENCE = re.compile(r"^([ ]*)(```+|~~~+)[ ]*(\w*)[^\n]*\n(.*?)^\1\2[ ]*$", re.M | re.S)
LINK = re.compile(r"\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)|^\s{0,3}\[[^\]]+\]:\s*(\S+)|(?:href|src)=\"([^\"]*)\"", re.M)
NUMBER = re.compile(r"(?<![\w.])[−+-]?\d[\d,.]*(?:·10\S*)?")


@dataclasses.dataclass(frozen=True)
class Block:
    """A fenced block of code."""

    line: int  # of its fence, from 1
    language: str  # the word after the fence, or ""
    text: str

    @property
    def title(self):
        """Return its first line."""
        return next((line.strip() for line in self.text.splitlines() if line.strip()), "")


def blocks(text):
    """Return the fenced blocks of code of a Markdown text."""
    return [Block(text.count("\n", 0, match.start()) + 1, match[3], match[4]) for match in FENCE.finditer(text)]


def blanked(pattern, text):
    """Return a text without what a pattern matches, with the same lines."""
    return pattern.sub(lambda match: "\n" * match[0].count("\n"), text)


def without_code(text):
    """Return a Markdown text without code, in blocks or in lines, with the same lines."""
    return blanked(re.compile(r"(?<!`)(`+)(?!`)((?:(?!\n\s*\n).)+?)(?<!`)\1(?!`)", re.S), blanked(FENCE, text))


def anchors(text):
    """Return the names by which links reach the headings of a Markdown text, as GitHub makes them."""
    found = {}
    for heading in re.findall(r"^ {0,3}#{1,6}\s+(.+?)\s*#*\s*$", blanked(FENCE, text), re.M):
        plain = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        name = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        found[name] = found.get(name, -1) + 1
        if found[name]:
            found[f"{name}-{found[name]}"] = 0
    return {*found, *re.findall(r"\b(?:id|name)=\"([^\"]+)\"", text)}


def links(text):
    """Return the links and images of a Markdown or HTML text: (line, target)."""
    text = without_code(text)
    return [(text.count("\n", 0, match.start()) + 1, match[1] or match[2] or match[3] or "") for match in LINK.finditer(text)]


def sentences(text):
    """Return the sentences of a Markdown text's prose, without headings, tables, pictures, code and the targets of links."""
    kept = [line for line in without_code(text).splitlines() if not line.lstrip().startswith(("|", "#", "![", "[!["))]
    prose = re.sub(r"\]\([^)]*\)", "]", "\n".join(kept))
    parts = re.split(r"(?<=[.!?:])\s+(?=[A-Z*\[])|\n\s*\n|\n\s*(?:[-*]|\d+\.)\s", prose)
    return [" ".join(part.split()) for part in parts if part.strip()]
