"""What README, docs and help say of the command line, of Python and of each other is there."""

import ast
import importlib
import re
import shlex
import textwrap
from functools import cache
from pathlib import Path

import click
import pytest

import vpbench
from vpbench.api import UnknownName
from vpbench.board.check import BOARD_CHECK
from vpbench.board.verify import VERIFY_ENTRY
from vpbench.cli.main import cli
from vpbench.core import schema
from vpbench.study.analysis import SCHEMA as STUDY

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")


def _blocks(text):
    """(language, code) of all blocks, of which those that are only indented have none."""
    fenced = [(match[1], match[2]) for match in FENCE.finditer(text)]
    rest = FENCE.sub("", text)
    return fenced + [("", match) for match in re.findall(r"(?:^    .*\n)+", rest, re.MULTILINE)]


def _commands(text, names):
    """Word lists of the commands in shell blocks, and in code within sentences."""
    lines = [
        line.strip().removeprefix("$ ")
        for language, block in _blocks(text)
        if language in ("", "sh")
        for line in block.replace("\\\n", " ").splitlines()
    ]
    lines += re.findall(r"`([^`\n]+)`", FENCE.sub("", text))
    lines = [line for line in lines if " _" not in line and " [--" not in line]  # not to be typed
    for line in lines:
        for part in re.split(r"&&|\|\||[|;>]", line) if line.startswith(names) else ():
            if part.strip().startswith(names):
                yield shlex.split(part, comments=True)


@cache
def _verbs(group=cli, path=()):
    """Command path -> the command, of all commands."""
    found = {}
    for name in group.list_commands(click.Context(group)):
        command = group.get_command(click.Context(group), name)
        found[*path, name] = command
        if isinstance(command, click.Group):
            found.update(_verbs(command, (*path, name)))
    return found


def _wrong(words):
    """What is wrong with a command of vpbench; None where it would be understood."""
    command, rest = cli, list(words[1:])
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        inner = command.get_command(click.Context(command), rest[0])
        if inner is not None:
            rest.pop(0)
        elif "add" not in command.commands:
            return "no such command"
        command = inner or command.commands["add"]  # `bundle STAGE` is `bundle add STAGE`
    context = click.Context(command, info_name=words[0])
    try:
        given, left, _ = command.make_parser(context).parse_args(rest)
    except click.UsageError as error:
        return error.message
    for parameter in command.params:
        value = given.get(parameter.name)
        if isinstance(parameter.type, click.Choice) and isinstance(value, str):
            try:
                parameter.type.convert(value, parameter, context)
            except click.UsageError as error:
                return error.message
    return f"too many words: {left}" if left and not isinstance(command, click.Group) else None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands_of_a_page_are_understood(page):
    wrong = {
        shlex.join(words): reason
        for words in _commands(page.read_text(), ("vpbench ",))
        if (reason := _wrong(words)) is not None
    }
    assert not wrong


def test_examples_in_the_help_are_understood():
    commands = [cli, *_verbs().values()]
    lines = [line.strip() for c in commands for line in (c.epilog or "").splitlines()]
    examples = [line for line in lines if line.startswith("vpbench ")]
    assert len(examples) > 60
    wrong = {line: _wrong(shlex.split(line.split(" > ")[0])) for line in examples}
    assert not {line: reason for line, reason in wrong.items() if reason is not None}


def test_a_wrong_command_is_noticed():
    assert _wrong(["vpbench", "run", "ours", "--datset", "x"])
    assert _wrong(["vpbench", "board", "bild"])
    assert _wrong(["vpbench", "compare", "--format", "word"])
    assert _wrong(["vpbench", "board", "build", "--out", "site"]) is None


def test_every_command_has_an_example_and_every_option_a_purpose():
    for path, command in _verbs().items():
        options = [p for p in command.params if isinstance(p, click.Option)]
        assert not [p.opts[0] for p in options if not p.help], path
        assert "vpbench " in (command.epilog or ""), path


def test_help_is_not_cut_at_80_columns():
    """Examples stay on one line, to be copied."""
    for path, command in [((), cli), *_verbs().items()]:
        context = click.Context(command, info_name="vpbench", terminal_width=80)
        lines = [li for li in command.get_help(context).splitlines() if "vpbench " not in li]
        assert not [line for line in lines if len(line) > 80], path
        assert not [line for line in lines if re.search(r"[a-z;,]\.\.\.$", line)], path


@pytest.mark.parametrize("group", ["", "board", "data", "figure", "recogniser", "study", "weights"])
def test_a_mistyped_command_gets_the_nearest_one(group):
    command = _verbs()[(group,)] if group else cli
    context = click.Context(command, info_name=f"vpbench {group}".strip())
    last = command.list_commands(context)[-1]
    with pytest.raises(UnknownName, match=rf"Did you mean .*\b{last}\b.*See: vpbench"):
        command.resolve_command(context, [f"{last}x"])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_options_that_a_page_mentions_exist(page):
    """In vpbench or in one of our scripts; lines that call other programs are left out."""
    known = {"--help", "--version"}
    for command in _verbs().values():
        known.update(*(p.opts for p in command.params), *(p.secondary_opts for p in command.params))
    scripts = [
        *ROOT.glob("tools/*.py"),
        *ROOT.glob("benchmarks/*.py"),
        *ROOT.glob("tests/fuzz/*.py"),
    ]
    known.update(re.findall(r'"(--[a-z-]+)"', "".join(path.read_text() for path in scripts)))
    lines = [line for line in page.read_text().splitlines() if "pip install" not in line]
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]*\w", "\n".join(lines))) <= known


def _anchors(text):
    """What GitHub makes of the headings."""
    titles = re.findall(r"^#+ (.+)$", FENCE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_somewhere(page):
    dead = []
    for link in LINK.findall(FENCE.sub("", page.read_text())):
        if link.startswith(("http://", "https://")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path) if path else page
        if not target.is_file() or (anchor and anchor not in _anchors(target.read_text())):
            dead.append(link)
    assert not dead


def test_every_page_and_picture_can_be_reached_from_the_readme():
    reached, waiting = set(), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        for link in LINK.findall(page.read_text()):
            target = (page.parent / link.partition("#")[0]).resolve()
            if ROOT / "docs" in target.parents and target not in reached:
                reached.add(target)
                waiting += [target] if target.suffix == ".md" else []
    assert sorted(p.name for p in (ROOT / "docs").iterdir() if p.resolve() not in reached) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_python_of_a_page_uses_what_there_is(page):
    for language, block in _blocks(page.read_text()):
        if language != "python" and "import vpbench" not in block:
            continue
        for node in ast.walk(ast.parse(textwrap.dedent(block))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("vpbench"):
                module = importlib.import_module(str(node.module))
                offered = getattr(module, "__all__", None) or dir(module)  # loads no torch
                assert {alias.name for alias in node.names} <= set(offered)
            elif isinstance(node, ast.Attribute) and ast.unparse(node.value) == "vpbench":
                assert node.attr in vpbench.__all__


_SHARED = {"", "vpbench.list/1", "vpbench.verify/1"}


def test_the_contracts_name_every_schema_that_a_command_prints():
    """Those in the modules of the command line; files of runs are in the page's other table."""
    sources = "".join(path.read_text() for path in (ROOT / "vpbench" / "cli").glob("*.py"))
    printed = set(re.findall(r'"(vpbench\.[a-z-]+/\d+)"', sources))
    printed |= {schema.COMPARE, schema.MEASURE, schema.EXPLAIN, schema.FIGURE, schema.PICTURES}
    printed |= {schema.DETECTOR_PROBE, BOARD_CHECK, VERIFY_ENTRY, STUDY}
    page = (ROOT / "docs" / "contracts.md").read_text()
    rows = [line.split("|")[2].strip(" `") for line in page.splitlines() if line.startswith("| `")]
    assert len(printed) > 25 and printed <= set(rows)
    assert not [name for name in set(rows) if rows.count(name) > 1 and name not in _SHARED]
