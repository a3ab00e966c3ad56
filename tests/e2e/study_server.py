"""`vpbench study serve` in a process of its own, and requests to it."""

import http.client
import json
import os
import socket
import subprocess
import sys
import time
from contextlib import contextmanager


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start(folder, port):
    process = subprocess.Popen(
        [
            sys.executable,
            "-W",
            "error",
            "-m",
            "vpbench",
            "study",
            "serve",
            folder,
            "--port",
            str(port),
        ],
        env={**os.environ, "VPBENCH_OFFLINE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    for _ in range(300):
        if process.poll() is not None:
            raise AssertionError(process.communicate()[1])
        try:
            if request(port, "GET", "/api/status")[0] == 200:
                return process
        except OSError:
            time.sleep(0.1)
    process.kill()
    raise AssertionError("the server did not start")


@contextmanager
def serving(folder):
    """Port of a server that runs meanwhile."""
    port = free_port()
    process = start(folder, port)
    try:
        yield port
    finally:
        process.terminate()
        _, err = process.communicate(timeout=20)
        assert "Traceback" not in err, err


def request(port, method, path, body=None, headers=None, timeout=20):
    """Status, headers and body of one request, its path sent as it is."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.putrequest(method, path, skip_accept_encoding=True)
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        sent = {"Content-Type": "application/json"} if data is not None else {}
        sent.update(headers or {})
        if data is not None and "Content-Length" not in sent and "Transfer-Encoding" not in sent:
            sent["Content-Length"] = str(len(data))
        for name, value in sent.items():
            connection.putheader(name, value)
        connection.endheaders(data)
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


def post(port, name, body):
    """Status and JSON of an answer."""
    status, _, data = request(port, "POST", f"/api/{name}", body)
    return status, json.loads(data)
