"""Fifty raters at once and a server that is killed; requests that nobody should send."""

import http.client
import json
import random
import signal
import threading
import time

import pytest

from tests.e2e.study_server import free_port, post, request, serving, start
from tests.unit.study import make
from vpbench.study.answers import read_events

pytestmark = pytest.mark.e2e

RATERS, TRIALS = 50, 8


@pytest.fixture
def study(tmp_path):
    return make.study(tmp_path / "study", methods=2, clips=6, raters=RATERS)


class Client(threading.Thread):
    """A page: keeps an answer until it is acknowledged, and sends it again after any fault."""

    def __init__(self, bundle, port, number):
        super().__init__()
        self.bundle, self.port, self.number = bundle, port, number
        self.acknowledged, self.waits, self.code = {}, [], None
        self.second = None

    def insist(self, name, body):
        began = time.monotonic()
        while True:
            try:
                status, reply = post(self.port, name, body)
            except (OSError, ValueError, http.client.HTTPException):  # killed meanwhile
                time.sleep(0.05)
                continue
            if status == 200:
                self.waits.append(time.monotonic() - began)
                return reply
            assert status in (429, 503), (status, reply)
            time.sleep(0.1)

    def run(self):
        dice = random.Random(self.number)
        hello = make.hello(self.bundle, f"client{self.number}")
        state = self.insist("session", hello)
        for index in range(TRIALS):
            ranks = dice.sample([1, 2], 2)
            answer = make.body(self.bundle, state["session"], state["sheet"], index, ranks)
            if dice.random() < 0.3:  # a double click
                self.second = threading.Thread(target=self.insist, args=("answer", answer))
                self.second.start()
            self.insist("answer", answer)
            self.acknowledged[state["session"], index] = answer["ranks"]
            if self.second is not None:
                self.second.join()
        self.code = self.insist("finish", {"session": state["session"]})["code"]


def test_fifty_raters_and_kill_9(study):
    bundle, _, private = study
    port = free_port()
    server = start(bundle.folder, port)
    clients = [Client(bundle, port, k) for k in range(RATERS)]
    for client in clients:
        client.start()
    kept = {}
    for _ in range(3):  # killed in the middle, three times
        while sum(len(c.acknowledged) for c in clients) < len(kept) + 60:
            time.sleep(0.005)
        server.send_signal(signal.SIGKILL)
        server.communicate()
        kept = {k: v for c in clients for k, v in dict(c.acknowledged).items()}
        stored = answers(private)
        assert all(stored[k] == v for k, v in kept.items())  # nothing acknowledged is lost
        server = start(bundle.folder, port)
    for client in clients:
        client.join(120)
    server.terminate()
    server.communicate(timeout=20)
    assert [c.code for c in clients] == ["C0DE42"] * RATERS
    acknowledged = {k: v for c in clients for k, v in c.acknowledged.items()}
    assert answers(private) == acknowledged and len(acknowledged) == RATERS * TRIALS
    kinds = [e["kind"] for e in read_events(private.answers)]
    assert (kinds.count("session"), kinds.count("answer")) == (
        RATERS,
        RATERS * TRIALS,
    )  # no doubles
    waits = sorted(w for c in clients for w in c.waits)
    assert waits[len(waits) // 2] < 2


def answers(private):
    """(session, index) -> ranks of all whole lines, as a reader after a crash sees them."""
    data = private.answers.read_bytes()
    lines = data[: data.rfind(b"\n") + 1].splitlines()
    events = [json.loads(line) for line in lines]
    return {(e["session"], e["index"]): e["ranks"] for e in events if e["kind"] == "answer"}


def test_what_is_refused(study, tmp_path):
    bundle, key, private = study
    (tmp_path / "secret.txt").write_text("secret")
    with serving(bundle.folder) as port:
        status, state = post(port, "session", make.hello(bundle))
        assert status == 200
        session, sheet = state["session"], state["sheet"]
        good = make.body(bundle, session, sheet, 0)
        assert post(port, "answer", good) == (200, {"stored": True, "answered": 1})
        assert post(port, "answer", good) == (200, {"stored": True, "answered": 1})  # idempotent

        other = (sheet + 1) % RATERS
        forged = make.body(bundle, session, other, 0)
        swapped = {**good, "slots": good["slots"][::-1]}
        bad = {
            "another answer to the same trial": ({**good, "seconds": 1.0}, 409),
            "a trial of another sheet": (forged, 403),
            "a trial that is not there": ({**good, "trial": "0" * 20}, 403),
            "slots that were not shown": (swapped, 400),
            "a rank twice": ({**good, "ranks": {q: [1, 1] for q in bundle.questions}}, 400),
            "ranks as booleans": (
                {**good, "ranks": {q: [True, 2] for q in bundle.questions}},
                400,
            ),
            "a question missing": ({**good, "ranks": {"overall": [1, 2]}}, 400),
            "no number": ({**good, "seconds": float("nan")}, 400),
            "an unknown session": ({**good, "session": "0" * 32}, 403),
            "HTML as a session": ({**good, "session": "<img src=x onerror=alert(1)>"}, 400),
            "more fields": ({**good, "admin": True}, 400),
            "a list": ([1, 2], 400),
        }
        for what, (body, expected) in bad.items():
            assert post(port, "answer", body)[0] == expected, what
        html = {"pid": "<script>alert(1)</script>", "study": "s", "session": "x"}
        assert post(port, "session", make.hello(bundle, prolific=html))[0] == 400
        assert post(port, "session", {**make.hello(bundle), "consent": False})[0] == 400
        assert post(port, "finish", {"session": session})[0] == 409  # not everything is answered

        big = b'{"a": "' + b"x" * 40_000 + b'"}'
        assert request(port, "POST", "/api/answer", big)[0] == 413
        chunks = {"Transfer-Encoding": "chunked"}
        wire = b"9000\r\n" + b"y" * 0x9000 + b"\r\n0\r\n\r\n"
        assert request(port, "POST", "/api/answer", wire, chunks)[0] == 413
        assert request(port, "POST", "/api/answer", b"[" * 16_000)[0] == 400
        assert request(port, "POST", "/api/answer", b"{}", {"Content-Type": "text/plain"})[0] == 415

        for path in (
            "/../study.private/key.json",
            "/..%2fstudy.private%2fkey.json",
            "/media/../../study.private/key.json",
            "/%2e%2e/secret.txt",
            "//etc/passwd",
            "/study.private/key.json",
            "/sheets/",
        ):
            status, _, data = request(port, "GET", path)
            assert status == 404 and b"secret" not in data and b"salt" not in data, path
        assert request(port, "PUT", "/index.html", b"{}")[0] == 405
        status, headers, _ = request(port, "GET", "/")
        assert status == 200 and "default-src 'none'" in headers["content-security-policy"]
        media = next(n for n in bundle.files if n.endswith(".mp4"))
        status, headers, data = request(port, "GET", f"/{media}", headers={"Range": "bytes=4-7"})
        assert (status, data) == (206, b"ftyp")

        flood = [post(port, "answer", good)[0] for _ in range(60)]
        assert 429 in flood
    stored = read_events(private.answers)
    assert [e["kind"] for e in stored] == ["session", "answer"]
    log = [json.loads(line)["what"] for line in private.refusals.read_text().splitlines()]
    assert any("not on the rater's sheet" in line for line in log)
    assert any("another answer already" in line for line in log)
    assert any("too large" in line for line in log)
    assert any("key.json: 404" in line for line in log)
    assert key["salt"] not in private.answers.read_text()


def test_a_second_server_is_refused(study):
    bundle, _, _ = study
    with serving(bundle.folder), pytest.raises(AssertionError, match="another server is writing"):
        start(bundle.folder, free_port())
