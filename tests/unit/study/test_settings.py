"""study.toml: read back as written, refused with a sentence."""

from dataclasses import replace

import pytest

from vpbench.api.errors import BadData, MissingData
from vpbench.study.settings import (
    KIM2019,
    Completion,
    Exclusions,
    Settings,
    Texts,
    preregistration,
    read_settings,
    settings_toml,
)

TEXTS = [
    '"',
    "\\",
    "a\nb\tc",
    "\x00\x1f\x7f",
    "é ü 漢 \U0001f600",
    "\u2028'#[x]",
    "${a}",
    "\\u0041",
]


@pytest.mark.parametrize("title", TEXTS)
@pytest.mark.parametrize("contact", TEXTS)
@pytest.mark.parametrize("gold", [0.0, 0.1, 1 / 3, 1.0])
def test_written_and_read(tmp_path, title, contact, gold):
    path = tmp_path / "study.toml"
    settings = Settings(
        texts=Texts(title=title, contact=contact),
        questions=(KIM2019,),
        completion=Completion("CODE", "https://example.org/?cc=CODE"),
        exclusions=Exclusions(gold_failed=gold),
    )
    path.write_bytes(settings_toml(settings).encode())
    assert read_settings(path) == settings


def test_what_is_left_out_stays(tmp_path):
    path = tmp_path / "study.toml"
    path.write_text('[texts]\ncontact = "me@example.org"\n[exclusions]\nmissing = 1\n')
    found = read_settings(path)
    assert found.texts.purpose == Texts().purpose and found.unset == ["organiser"]
    assert found.exclusions == Exclusions(missing=1.0)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("[texts", "not valid TOML"),
        ("[text]\n", r"unknown section \[text\]"),
        ("[texts]\ncontct = 'x'\n", "no field contct"),
        ("[texts]\ncontact = 5\n", "a text in quotes"),
        ("[exclusions]\nmissing = 'x'\n", "a number"),
        ("[exclusions]\nmissing = true\n", "a number"),
        ("[exclusions]\nmissing = 1.5\n", r"0\.\.1"),
        ("[exclusions]\nmissing = nan\n", r"0\.\.1"),
        ("texts = 3\n", r"\[texts\]"),
        ("questions = []\n", "at least one"),
        ("[[questions]]\nid = 'a'\n", "needs the texts"),
        ("[[questions]]\nid = 'A b'\ntitle = ''\ntext = ''\n", "lower-case"),
        (
            "[[questions]]\nid='a'\ntitle=''\ntext=''\n[[questions]]\nid='a'\ntitle=''\ntext=''\n",
            "same id",
        ),
        ("[completion]\nurl = 'javascript:alert(1)'\n", "https://"),
        ("[completion]\nurl = 'http://example.org'\n", "https://"),
    ],
)
def test_refused(tmp_path, text, what):
    path = tmp_path / "study.toml"
    path.write_text(text)
    with pytest.raises(BadData, match=what):
        read_settings(path)


def test_no_file(tmp_path):
    with pytest.raises(MissingData):
        read_settings(tmp_path / "study.toml")


def test_preregistration_holds_what_must_not_change():
    settings, design = Settings(), {"raters": 15}
    base = preregistration(settings, design)
    changed = [
        (replace(settings, questions=(KIM2019,)), design),
        (replace(settings, exclusions=Exclusions(missing=0.4)), design),
        (settings, {"raters": 16}),
    ]
    assert all(preregistration(*pair) != base for pair in changed)
    assert preregistration(replace(settings, texts=Texts(title="another")), design) == base
