"""README as a first page: its length, how soon its first command comes, and how many numbers a sentence has."""

import re

import commands
import documents
from conftest import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
MOST_NUMBERS = 3  # in a sentence of prose; more belong into a table


def crowded(text):
    """Return the sentences of prose with too many numbers, which in tables, code and the targets of links do not count."""
    return [sentence for sentence in documents.sentences(text) if len(documents.NUMBER.findall(sentence)) > MOST_NUMBERS]


def test_readme_is_short():
    lines = README.splitlines()
    assert len(lines) <= 160
    assert [i for i, line in enumerate(lines, 1) if len(line) > 140] == []


def test_the_first_command_comes_early():
    starts = [block.line for block in documents.blocks(README) if block.language in commands.SHELLS and commands.of_block(block)]
    assert starts[0] + 1 <= 30


def test_no_sentence_of_readme_has_more_than_three_numbers():
    assert crowded(README) == []


def test_numbers_are_counted_in_prose_alone():
    text = "It took 1, 2 and 3.5 s. Then −4 nats:\n\n- 5 and 6\n- 7 and 8\n\n| 1 | 2 | 3 | 4 |\n\n`1 2 3 4` [x](1/2/3/4) v2 x1 mnist_5k\n"
    assert crowded(text) == []
    assert crowded(text + "\n```\n1 2 3 4\n```\n# 1 2 3 4\n![1 2 3 4](x.png)\n") == []
    assert crowded("In 5 runs of 30 epochs it is 0.70 nats (95 %, 0.6 to 0.8).") == [
        "In 5 runs of 30 epochs it is 0.70 nats (95 %, 0.6 to 0.8)."
    ]
    assert re.findall(documents.NUMBER, "1,797 and 2·10⁵ and +3") == ["1,797", "2·10⁵", "+3"]
