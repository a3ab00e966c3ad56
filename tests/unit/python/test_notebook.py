"""Progress in a notebook: bars of what is under way, notes, and nothing of what is done."""

import sys
from types import ModuleType, SimpleNamespace

import pytest

from vpbench.python import process
from vpbench.python.notebook import NotebookProgress


@pytest.fixture
def shown(monkeypatch):
    """What a notebook would show, newest last."""
    pages = []
    module = ModuleType("IPython.display")
    module.HTML = str

    def display(page, display_id):
        pages.append(page)
        return SimpleNamespace(update=pages.append)

    module.display = display
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    monkeypatch.setattr("vpbench.python.notebook._EVERY_S", -1)
    return pages


def progress(method, what, done, total):
    return {"event": "progress", "method": method, "what": what, "done": done, "total": total}


def test_bars_come_move_and_go(shown):
    with NotebookProgress() as bars:
        bars(progress("a<b", "fit", 3, 10))
        bars(progress("mine", "predict", 1, None))
        assert shown[-1].count("<progress") == 2 and "a&lt;b fit" in shown[-1]
        assert 'value="3" max=10' in shown[-1] and "3/10" in shown[-1]
        bars(progress("a<b", "fit", 10, 10))
        assert shown[-1].count("<progress") == 1 and "a&lt;b" not in shown[-1]
        bars({"event": "note", "text": "clips & frames"})
        bars({"event": "run", "method": "mine", "status": "failed", "reason": "no <b>"})
    assert "<progress" not in shown[-1]
    assert "clips &amp; frames" in shown[-1] and "mine failed: no &lt;b&gt;" in shown[-1]


def test_nothing_is_shown_of_nothing(shown):
    with NotebookProgress():
        pass
    assert not shown


@pytest.mark.parametrize(("kernel", "notebook"), [(object(), True), (None, False)])
def test_a_notebook_is_known_by_its_kernel(monkeypatch, kernel, notebook):
    module = ModuleType("IPython")
    module.get_ipython = lambda: SimpleNamespace(kernel=kernel)
    monkeypatch.setitem(sys.modules, "IPython", module)
    assert process._in_notebook() is notebook
    monkeypatch.delitem(sys.modules, "IPython")
    assert not process._in_notebook()
