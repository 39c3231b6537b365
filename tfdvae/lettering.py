"""Names of users as text, in pictures and in pages: a name is never mathematics, Markdown or HTML, and every name can be drawn."""

import functools
import re
import unicodedata

import matplotlib
from matplotlib.font_manager import FontProperties, findfont, get_font, get_font_names
from matplotlib.text import Text

from .errors import legible

MOST = 40  # characters of a name in a picture
# Families that are asked, where they are installed, for characters that the user's own font lacks. matplotlib brings the first.
FALLBACKS = (
    *("DejaVu Sans", "Noto Sans", "Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans CJK KR"),
    *("Noto Sans SC", "Noto Sans JP", "Noto Sans KR"),
    *("Source Han Sans SC", "WenQuanYi Micro Hei", "WenQuanYi Zen Hei", "Droid Sans Fallback", "PingFang SC", "Hiragino Sans GB"),
    *("Hiragino Sans", "Apple SD Gothic Neo", "Arial Unicode MS", "Microsoft YaHei", "SimHei", "Yu Gothic", "MS Gothic", "Malgun Gothic"),
    *("Noto Sans Devanagari", "Noto Sans Bengali", "Noto Sans Tamil", "Noto Sans Thai", "Nirmala UI", "Leelawadee UI"),
    *("Noto Emoji", "Segoe UI Emoji", "Segoe UI Symbol", "Symbola"),
)
ZERO_WIDTH = "\u200b"  # before a leading _, which would keep a label out of legends
SHAPES_TEXT = matplotlib.__version_info__ >= (3, 11)  # from then on matplotlib joins Arabic letters and orders right-to-left text
MARKDOWN = re.compile(
    r"""[<|`*$]                          # HTML, cells of a table, code, emphasis, GitHub's mathematics
    | &(?=\#?\w+;)                       # an entity
    | (?<!folder:)~                      # struck out; folder:~/photos alone is not
    | \](?=[(\[])                        # a link
    | (?<![^\W_])_ | _(?![^\W_])         # emphasis, unless it is within a word
    | \\(?=[!-/:-@[-`{-~]|$)             # an escape; C:\runs is none""",
    re.VERBOSE,
)


def markdown(text):
    """Return a name for Markdown, in a table or in a sentence, where nothing in it is a sign of Markdown or of HTML."""
    entities = {"<": "&lt;", "&": "&amp;"}
    return MARKDOWN.sub(lambda sign: entities.get(sign[0], "\\" + sign[0]), legible(text))


def drawn(text, most=MOST):
    """Return a name for a picture of this module's `as_text`.

    Args:
        text: the name.
        most: characters, half as many of wide ones; a longer name loses its middle.
    """
    text = re.sub("[\ufe00-\ufe0f]", "", legible(text))  # which choose between coloured and black emoji
    right_to_left = not SHAPES_TEXT and any(unicodedata.bidirectional(character) in ("R", "AL") for character in text)
    if right_to_left:
        from arabic_reshaper import ArabicReshaper

        text = ArabicReshaper({"delete_harakat": False}).reshape(text)
    text = _shortened(_with_glyphs(text), most)
    if right_to_left:
        from bidi import get_display

        text = get_display(text)
    return ZERO_WIDTH + text if text.startswith("_") else text


def drawn_apart(names, most=MOST):
    """Return `drawn` of several names, with numbers where two of them would look the same."""
    texts = [drawn(name, most) for name in names]
    return texts if len(set(texts)) == len(set(names)) else [f"{i}: {text}" for i, text in enumerate(texts, 1)]


def as_text(figure):
    """Have matplotlib take all text in a figure literally, and look for its characters in more fonts than the user's own."""
    for text in figure.findobj(Text):
        text.set(parse_math=False, usetex=False)
        if not all(map(_in_own_font, text.get_text())):  # not bold: matplotlib would log that such fonts have no bold face
            text.set(fontfamily=[*text.get_fontfamily(), *_installed()], fontweight="normal")


def _shortened(text, most):
    if any(unicodedata.east_asian_width(character) in "WF" for character in text):
        most //= 2
    kept = most - 1
    return text if len(text) <= most else f"{text[: kept - kept // 2]}…{text[-(kept // 2) :]}"


def _with_glyphs(text):
    """Return a text with characters that no font has as their names, such as [cat face], or as their numbers, [U+732B]."""
    missing = {character for character in text if not _in_own_font(character) and not _in_fallbacks(character)}
    if not missing:
        return text
    return re.sub(f"[{''.join(missing)}]+", lambda run: f"[{', '.join(map(_described, run[0]))}]", text)


def _described(character):
    name = unicodedata.name(character, "")
    return name.lower() if unicodedata.category(character) == "So" and name else f"U+{ord(character):04X}"


def _in_own_font(character):
    families = FontProperties().get_family()
    return character.isascii() or all(
        any(ord(character) in _glyphs(family, weight) for family in families) for weight in ("normal", "bold")
    )


def _in_fallbacks(character):
    return any(ord(character) in _glyphs(family) for family in _installed())


def _installed():
    names = set(get_font_names())
    return [family for family in FALLBACKS if family in names]


def _glyphs(family, weight="normal"):
    try:
        return _glyphs_of_file(findfont(FontProperties(family=family, weight=weight), fallback_to_default=False))
    except ValueError:  # no such font
        return frozenset()


@functools.cache
def _glyphs_of_file(path):
    return frozenset(get_font(path).get_charmap())
