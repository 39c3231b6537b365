"""Names of users in pictures and in pages: they are text, whatever characters they have."""

import html
import re
import warnings

import matplotlib
import numpy as np
import pytest
from conftest import ROOT
from matplotlib.text import Text

from tfdvae import curves, image_grids, lettering, plots
from tfdvae.errors import legible
from tfdvae.lettering import drawn, drawn_apart, markdown
from tfdvae.study import figures, page
from tfdvae.study.comparison import Difference

NAMES = (
    *("$_$", r"\$x^2$", "100 %", "_cat", "قطة", "חתול", "می‌خواهم", "🐱 cat", "👍🏽", "猫", "कुत्ता", "caf\udce9", "a|b<c>`d`", "[a](b)"),
    *("two\nlines", "\x1b[31m", "\u202ecat", "__a__ *b* ~~c~~", "&lt; &#36;", "C:\\_x\\", 'src="x.png"', "l" * 300, "猫" * 300),
)
HISTORY = [{"epoch": float(e), **{f"{prefix}kl": 100.0 / e for prefix in ("", "val_")}, "val_loss": 9.0 - e} for e in (1, 2, 3)]


@pytest.fixture(autouse=True)
def only_dejavu(monkeypatch):
    """The fonts that matplotlib brings, whatever is installed here."""
    monkeypatch.setattr(lettering, "FALLBACKS", ("DejaVu Sans",))


@pytest.fixture
def texts(monkeypatch):
    """All text of the figures that are drawn; a warning of matplotlib is an error."""
    seen = []

    def seeing(figure):
        lettering.as_text(figure)
        seen.extend(text.get_text() for text in figure.findobj(Text))

    monkeypatch.setattr(plots, "as_text", seeing)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield seen


@pytest.mark.parametrize(
    "name, shown",
    [
        ("vae, seed 3", "vae, seed 3"),
        ("two\nlines\t\x1b", r"two\nlines\t\x1b"),
        ("caf\udce9 \ud83d", r"caf\xe9 \ud83d"),
        ("\u202ecat\u200b", r"\u202ecat\u200b"),  # would turn the text around
        ("e\u0301", "é"),
        ("a\u00a0b\u3000c", "a b c"),
        ("می‌خواهم", "می‌خواهم"),
    ],
)
def test_a_legible_name_is_one_line_of_visible_characters(name, shown):
    assert legible(name) == shown
    legible(name).encode()


def test_characters_without_a_glyph_have_names_or_numbers():
    assert drawn("👍🏽 猫狗", 50) == "[thumbs up sign, U+1F3FD] [U+732B, U+72D7]"
    assert drawn("🐱\ufe0f café") == "🐱 café"  # DejaVu Sans has a cat


def test_a_long_name_loses_its_middle():
    assert drawn("abcdefghij", 7) == "abc…hij" and drawn("abcdefg", 7) == "abcdefg"
    assert drawn("🐱" * 10, 8) == "🐱🐱…🐱"  # a wide character takes the room of two
    assert len(drawn("l" * 300)) == lettering.MOST


def test_names_that_would_look_the_same_have_numbers():
    assert drawn_apart(["a", "b"]) == ["a", "b"]
    one, other = drawn_apart(["l" * 300, "l" * 301])
    assert one.startswith("1: lll") and other.startswith("2: lll")


def test_before_matplotlib_3_11_right_to_left_names_are_put_in_visual_order(monkeypatch):
    monkeypatch.setattr(lettering, "SHAPES_TEXT", False)
    assert drawn("חתול 2") == "2 לותח"
    assert drawn("قطة") == "\ufe94\ufec4\ufed7"  # the joined forms of its three letters, the last one first
    assert drawn("cat") == "cat"


@pytest.mark.parametrize("mathematics", [True, False])
def test_curves_of_all_names_are_in_the_legend(texts, mathematics):
    with matplotlib.rc_context({"text.parse_math": mathematics}):
        curves.compared_curves(dict.fromkeys(NAMES, HISTORY), "kl", "folder:/_a/$x$/" + "b" * 300)
    assert not set(drawn_apart(NAMES)) - set(texts)


def test_all_class_names_stand_in_a_scatter(texts):
    classes = np.arange(len(NAMES))
    plots.scatter(np.stack([classes % 3, classes // 3], axis=1), classes, NAMES, "codes")
    assert not set(drawn_apart(NAMES, 30)) - set(texts)


def test_all_names_stand_above_grids(texts):
    image_grids.grids({name: np.zeros((2, 2, 2, 1)) for name in NAMES}, "title")
    assert not set(drawn_apart(NAMES)) - set(texts)


def test_all_names_stand_beside_strips(texts):
    image_grids.strips({name: np.zeros((2, 2, 2, 1)) for name in NAMES}, "title")
    assert not {"".join(name.split()) for name in drawn_apart(NAMES)} - {"".join(text.split()) for text in texts}  # on several lines


def test_all_variants_stand_in_the_figures_of_a_study(texts):
    terms = ("kl", *figures.PANELS)
    points = {name: {term: np.array([i, i + 0.5]) for term in terms} for i, name in enumerate(NAMES)}
    figures.rate_distortion(points, NAMES[:2], "$_$")
    figures.curves({name: [HISTORY] * 2 for name in NAMES}, "kl", "validation KL")
    labels = drawn_apart(NAMES)
    assert "study $_$: means over the test set; bars are standard deviations over seeds" in texts
    assert all(texts.count(label) >= 2 for label in labels)
    figures.gaps([Difference("reconstruction", name, (-2.0, -1.0), (0, 1), (-3.0, 0.0), (-2.0, -1.0)) for name in NAMES], "$_$")
    assert not {f"{drawn(name)} (n = 2)" for name in NAMES} - set(texts)


def test_the_user_s_settings_of_matplotlib_stay():
    before = dict(matplotlib.rcParams)
    plots.scatter(np.zeros((2, 2)), np.arange(2), ("$_$", "猫"), "codes")
    assert dict(matplotlib.rcParams) == before


@pytest.mark.parametrize("name", NAMES)
def test_a_name_stays_text_in_a_table_and_a_sentence_of_a_page(name, tmp_path):
    text = f"Note: {markdown(name)}, {markdown(name)}.\n\n| a | b |\n|---|---|\n| {markdown(name)} | 1 |\n\n- {markdown(name)}: x\n"
    body = page.html(text, tmp_path, "title").partition("<body>")[2]
    paragraph, cell, item = (re.search(f"<{tag}>(.*?)</{tag}>", body)[1] for tag in ("p", "td", "li"))
    shown = legible(name)
    assert [html.unescape(part) for part in (paragraph, cell, item)] == [f"Note: {shown}, {shown}.", shown, f"{shown}: x"]
    assert not re.search("<(?!/?(p|table|thead|tbody|tr|th|td|ul|li|body|html)>)", body)


def test_ordinary_names_stay_as_they_are_in_markdown():
    for name in ("vae_two_stage", "vae_beta0.5", "folder:~/my photos/cats & dogs", "runs/digits-dvae-seed0-2", r"C:\runs\vae", "a [b] (c)"):
        assert markdown(name) == name


def test_pictures_of_a_page_are_inside_it(tmp_path):
    (tmp_path / "a.png").write_bytes(b"abc")
    assert 'src="data:image/png;base64,YWJj"' in page.html("![b](a.png)", tmp_path, "title")


def test_a_committed_report_comes_out_as_committed():
    folder = ROOT / "results" / "digits"
    text = (folder / "report.md").read_text()
    assert page.html(text, folder, "Study digits") == (folder / "report.html").read_text()
