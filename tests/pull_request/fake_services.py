"""GitHub's and GitLab's comments on loopback: they answer as documented, and record requests."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

TOKEN = "t0ken"  # noqa: S105 - of the fakes
OWN, FOREIGN = "own", "foreign"
_LIST = re.compile(r"/(?:repos/o/r/issues/7/comments|projects/g%2Fp/merge_requests/7/notes)")
_ONE = re.compile(r"/(?:repos/o/r/issues/comments|projects/g%2Fp/merge_requests/7/notes)/(\d+)")


@dataclass
class Fake:
    """A service with its comments."""

    address: str = ""
    comments: list[dict[str, Any]] = field(default_factory=list)
    """Comments in order of their creation."""
    may_change_all: bool = False
    """Whether the token may change others' comments: on GitHub, who may write to it may do so."""
    requests: list[str] = field(default_factory=list)
    refuses_with: int = 0
    redirects_to: str = ""
    speaks_no_http: bool = False
    """Whether answers are not those of HTTP."""
    most_characters: int = 65_536

    def add(self, body: str, by: str = FOREIGN) -> None:
        user = {"login": by, "username": by}
        self.comments.append(
            {"id": len(self.comments) + 100, "body": body, "user": user, "author": user}
        )


class _Server(ThreadingHTTPServer):
    def __init__(self, fake: Fake) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.fake = fake


class _Handler(BaseHTTPRequestHandler):
    @property
    def _fake(self) -> Fake:
        assert isinstance(self.server, _Server)
        return self.server.fake

    def do_GET(self) -> None:
        if self._is_refused():
            return
        parts = urlsplit(self.path)
        if parts.path == "/user":
            self._answer(200, {"id": 1, "username": OWN})
            return
        asked = parse_qs(parts.query)
        size, page = int(asked["per_page"][0]), int(asked["page"][0])
        assert _LIST.fullmatch(parts.path)
        assert size <= 100
        self._answer(200, self._fake.comments[(page - 1) * size : page * size])

    def do_POST(self) -> None:
        if self._is_refused():
            return
        if self.path == "/graphql":
            assert "viewer" in str(self._content()["query"])
            self._answer(200, {"data": {"viewer": {"login": OWN}}})
            return
        body = self._body()
        assert _LIST.fullmatch(self.path)
        if len(body) > self._fake.most_characters:
            self._answer(422, {"message": "Body is too long"})
            return
        self._fake.add(body, OWN)
        self._answer(201, self._fake.comments[-1])

    def _change(self) -> None:
        if self._is_refused():
            return
        body, found = self._body(), _ONE.fullmatch(self.path)
        assert found is not None
        comment = self._fake.comments[int(found[1]) - 100]
        if comment["user"]["login"] == FOREIGN and not self._fake.may_change_all:
            self._answer(403, {"message": "Must have admin rights"})
            return
        comment["body"] = body
        self._answer(200, comment)

    do_PATCH = do_PUT = _change

    def _is_refused(self) -> bool:
        fake = self._fake
        fake.requests.append(f"{self.command} {urlsplit(self.path).path}")
        if fake.speaks_no_http:
            self.wfile.write(b"220 ready\r\n")
            return True
        if fake.redirects_to:
            self.send_response(307)
            self.send_header("Location", fake.redirects_to)
            self.end_headers()
            return True
        given = {self.headers["Authorization"], self.headers["PRIVATE-TOKEN"]}
        status = fake.refuses_with or (0 if given & {f"Bearer {TOKEN}", TOKEN} else 401)
        if status:
            self._answer(status, {"message": "Bad\x1b[2J credentials"})
        return bool(status)

    def _content(self) -> dict[str, object]:
        content: dict[str, object] = json.loads(
            self.rfile.read(int(self.headers["Content-Length"]))
        )
        return content

    def _body(self) -> str:
        content = self._content()
        assert content.keys() == {"body"}
        return str(content["body"])

    def _answer(self, status: int, content: object) -> None:
        data = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


@contextmanager
def fake_service() -> Iterator[Fake]:
    fake = Fake()
    server = _Server(fake)
    fake.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.001,))
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
