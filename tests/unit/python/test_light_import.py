"""`import vpbench` loads nothing; what it names is there."""

import subprocess
import sys

import vpbench


def test_importing_vpbench_imports_nothing_else():
    code = "import sys; old = set(sys.modules); import vpbench; print(*(set(sys.modules) - old))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert loaded <= {"vpbench", "__future__"}, loaded


def test_every_name_is_there_and_others_are_not():
    for name in vpbench.__all__:
        assert getattr(vpbench, name) is not None
        assert name in dir(vpbench)
    assert not hasattr(vpbench, "fdv")
    assert vpbench.fvd.__module__ == "vpbench.python.measuring"
