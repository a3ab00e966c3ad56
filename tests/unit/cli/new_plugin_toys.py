"""Generated packages for tests."""

from click.testing import CliRunner

from vpbench.cli.new_plugin import new_plugin


def generate(out, name="my-thing", kind="end-to-end", *more):
    words = [name, "--kind", kind, "--out", str(out), *more]
    done = CliRunner().invoke(new_plugin, words, standalone_mode=False)
    if done.exception is not None:
        raise done.exception
    return done.output
