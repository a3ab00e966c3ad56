"""A small network, a server that offers it, and what tests ask of it."""

import hashlib
import http.server
import zipfile

from vpbench.metrics.weights.fetch import fetch
from vpbench.metrics.weights.weight_file import Https, WeightFile


class Server(http.server.ThreadingHTTPServer):
    """Serves one content under any path; the first part of the path says how."""

    def __init__(self, content):
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = content
        self.asked = []
        self.breaks = 0

    def url(self, how="plain"):
        return f"http://127.0.0.1:{self.server_port}/{how}/net.pth"


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        how = self.path.split("/")[1]
        content = self.server.content
        self.server.asked.append((how, self.headers.get("Range")))
        if how == "404":
            return self.send_error(404)
        if how == "503":
            self.server.breaks -= 1
            if self.server.breaks >= 0:
                return self.send_error(503)
        if how == "redirect":
            self.send_response(302)
            self.send_header("Location", self.server.url())
            return self.end_headers()
        if how == "page":
            content = b"<!doctype html><title>Sign in</title>" * 100
        if how == "tampered":
            content = content[:-1] + bytes([content[-1] ^ 1])
        start = 0
        if self.headers.get("Range") and how != "norange":
            start = int(self.headers["Range"].removeprefix("bytes=").rstrip("-"))
            if start >= len(content):
                return self.send_error(416)
        self.send_response(206 if start else 200)
        kind = "text/html; charset=utf-8" if how == "page" else "application/octet-stream"
        self.send_header("Content-Type", kind)
        if how != "nolength":
            self.send_header("Content-Length", str(len(content) - start))
        if start:
            end = f"bytes {start}-{len(content) - 1}/{len(content)}"
            self.send_header("Content-Range", end)
        self.end_headers()
        body = content[start:]
        if how in ("broken", "norange") and self.server.breaks > 0:
            self.server.breaks -= 1
            body = body[: len(body) // 2]
        self.wfile.write(body)
        if how == "nolength" and self.server.breaks:
            self.wfile.write(bytes(10_000))


def web(server, how="plain", sha256=None, size=True):
    digest = hashlib.sha256(server.content).hexdigest()
    exact = len(server.content) if size else None
    return Https(server.url(how), sha256 or digest, exact, len(server.content), "torch")


def entry_of(*sources, name="net", **fields):
    return WeightFile(name, "Net", "MIT", sources, ("net.pth",), **fields)


def get(entry, cache, **options):
    return fetch(entry, cache, allow_http=True, **options)


def left(cache):
    """Everything in the cache that could be taken for weights."""
    return sorted(p.name for p in cache.rglob("*.safetensors"))


def zip_of(path, *members):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content, *mode in members:
            info = zipfile.ZipInfo(name)
            if mode:
                info.external_attr = mode[0] << 16
            archive.writestr(info, content)
    return path
