"""HTTP as a client sends it: one request, or bytes on a socket."""

import dataclasses
import http.client
import json
import pathlib
import socket
import struct
import subprocess
import tempfile

from tests.lib.env import PATIENCE

@dataclasses.dataclass
class Answer:
    status: int
    headers: dict
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)


def request(port, method, path, body=None, headers=None, timeout=20,
            chunked=False, host="127.0.0.1"):
    connection = http.client.HTTPConnection(host, port,
                                            timeout=timeout * PATIENCE)
    try:
        connection.request(method, path, body, headers or {},
                           encode_chunked=chunked)
        reply = connection.getresponse()
        names = {name.lower(): value for name, value in reply.getheaders()}
        return Answer(reply.status, names, reply.read())
    finally:
        connection.close()


def request_http2(port, path, body, *more, timeout=30):
    """One POST over HTTP/2 without TLS, by curl."""
    return _curl(f"http://127.0.0.1:{port}{path}", body, timeout, "2",
                 "--http2-prior-knowledge", *more)


def request_http3(port, path, body, *more, timeout=30):
    """One POST over HTTP/3, by curl; any certificate will do."""
    return _curl(f"https://127.0.0.1:{port}{path}", body, timeout, "3",
                 "--http3-only", "--insecure", *more)


def _curl(url, body, timeout, version, *options):
    with tempfile.TemporaryDirectory() as directory:
        sent, head, reply = (pathlib.Path(directory) / name
                             for name in ("sent", "head", "reply"))
        sent.write_bytes(body)
        done = subprocess.run(
            ["curl", "-sS", *options, "--max-time",
             str(timeout * PATIENCE), "-o",
             str(reply), "-D", str(head), "-w",
             "%{http_code} %{http_version}", "-H",
             "Content-Type: application/octet-stream", "--data-binary",
             f"@{sent}", url],
            check=True, stdout=subprocess.PIPE, text=True)
        status, used = done.stdout.split()
        assert used == version
        headers = dict(line.lower().split(": ", 1) for line
                       in head.read_text().splitlines() if ": " in line)
        return Answer(int(status), headers,
                      reply.read_bytes() if reply.exists() else b"")


def connect(port, timeout=20):
    return socket.create_connection(("127.0.0.1", port), timeout * PATIENCE)


def reset(connection):
    """Closes with RST instead of FIN."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                          struct.pack("ii", 1, 0))
    connection.close()


def read_answer(file):
    """The next answer of a connection's makefile("rb")."""
    line = file.readline()
    assert line.startswith(b"HTTP/1."), f"no status line: {line!r}"
    headers = {name.lower(): value for name, value
               in http.client.parse_headers(file).items()}
    if "content-length" in headers:
        body = file.read(int(headers["content-length"]))
    elif headers.get("transfer-encoding") == "chunked":
        body = b""
        while size := int(file.readline(), 16):
            body += file.read(size)
            file.readline()
        file.readline()
    else:
        body = file.read()
    return Answer(int(line.split()[1]), headers, body)
