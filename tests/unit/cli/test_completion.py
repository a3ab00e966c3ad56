"""A shell completes names of plugins where a command takes them."""

import pytest
from click.shell_completion import ShellComplete

from vpbench.cli.main import cli


@pytest.mark.parametrize(
    ("words", "incomplete", "expected"),
    [
        (["run"], "our", {"ours", "ours-oracle"}),
        (["run", "ours"], "copy", {"copy-last"}),
        (["run", "ours", "--dataset"], "puppets", {"puppets"}),
        (["run", "ours", "--metrics"], "psnr,ss", {"psnr,ssim"}),
        (["compare"], "villegas", {"villegas"}),
        (["probe"], "ours-d", {"ours-detector"}),
        (["info"], "kv", {"kvd", "kvd-videomae"}),
        (["data", "prepare"], "ne", {"nemo"}),
        (["figure", "curves"], "wi", {"wichers"}),
        (["board"], "ve", {"verify"}),
        (["run"], "zzz", set()),
    ],
)
def test_names_are_completed(words, incomplete, expected):
    found = ShellComplete(cli, {}, "vpbench", "_VPBENCH_COMPLETE").get_completions(
        words, incomplete
    )
    assert {item.value for item in found} == expected


@pytest.mark.parametrize("path", ["runs/puppets/o", "./mine.py"])
def test_a_path_is_left_to_the_shell(path):
    (item,) = ShellComplete(cli, {}, "vpbench", "_V").get_completions(["score"], path)
    assert (item.value, item.type) == (path, "file")
