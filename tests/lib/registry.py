"""A small schema registry: the calls that a serializer and the daemon make,
and faults that a real one cannot be made to have."""

import http.server
import json
import socket
import ssl
import threading
import urllib.parse

from tests.lib.env import free_port


class Registry:
    """What it knows outlives stop(), on the same port."""

    def __init__(self):
        self.port = free_port()
        self.schemas = {}          # id: what /schemas/ids/ answers
        self.subjects = {}         # subject: ids by version, from 1
        self.asked = []            # (path, headers) of each request
        self.status = None         # of every answer, if not None
        self.authorization = None  # the header that is due
        self.server = None
        self.connections = []
        self.lock = threading.Lock()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def start(self, certificate=None):
        """Over TLS with (certificate, key)."""
        handler = type("Handler", (Handler,), {"registry": self})
        self.server = http.server.ThreadingHTTPServer(
            ("127.0.0.1", self.port), handler)
        self.server.daemon_threads = True
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*map(str, certificate))
            self.server.socket = context.wrap_socket(
                self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever, args=(0.05,),
                         daemon=True).start()
        return self

    def stop(self):
        if self.server is None:
            return
        self.server.shutdown()
        self.server.server_close()
        self.server = None
        with self.lock:
            ended, self.connections = self.connections, []
        for connection in ended:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def add(self, subject, schema, number=None, kind="AVRO", references=()):
        """The number of a schema, which is given or the next one."""
        text = schema if isinstance(schema, str) else json.dumps(schema)
        body = {"schema": text}
        if kind != "AVRO":
            body["schemaType"] = kind
        if references:
            body["references"] = list(references)
        with self.lock:
            for known, other in self.schemas.items():
                if other == body and number is None:
                    number = known
            number = number or max(self.schemas, default=0) + 1
            self.schemas[number] = body
            versions = self.subjects.setdefault(subject, [])
            if number not in versions:
                versions.append(number)
        return number

    def paths(self):
        return [path for path, _ in self.asked]

    def answer(self, method, path, headers, body):
        """Status and body, as Confluent's API has them."""
        if self.authorization and headers.get("Authorization") \
                != self.authorization:
            return 401, {"error_code": 401, "message": "Unauthorized"}
        if self.status:
            return self.status, {"error_code": self.status * 100 + 1,
                                 "message": "as the test wants"}
        parts = [urllib.parse.unquote(part) for part in
                 path.split("?")[0].strip("/").split("/")]
        if method == "GET" and parts[:2] == ["schemas", "ids"]:
            found = self.schemas.get(int(parts[2]))
            return (200, found) if found else (
                404, {"error_code": 40403,
                      "message": f"Schema {parts[2]} not found"})
        if parts[0] != "subjects":
            return 404, {"error_code": 404, "message": "HTTP 404 Not Found"}
        subject = parts[1]
        if method == "POST":
            number = self.add(subject, body["schema"], None,
                              body.get("schemaType", "AVRO"),
                              body.get("references", ()))
            return 200, self.version(subject,
                                     self.subjects[subject].index(number) + 1)
        return 200, self.version(subject, int(parts[3]))

    def version(self, subject, version):
        number = self.subjects[subject][version - 1]
        return {"subject": subject, "version": version, "id": number,
                **self.schemas[number]}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 65536           # head and body in one packet
    registry = None

    def setup(self):
        super().setup()
        with self.registry.lock:
            self.registry.connections.append(self.connection)

    def do_GET(self):
        self.reply("GET", None)

    def do_POST(self):
        length = int(self.headers.get("Content-Length", 0))
        self.reply("POST", json.loads(self.rfile.read(length)))

    def reply(self, method, body):
        self.registry.asked.append((self.path, dict(self.headers)))
        status, answer = self.registry.answer(method, self.path,
                                              self.headers, body)
        text = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type",
                         "application/vnd.schemaregistry.v1+json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *words):
        pass
