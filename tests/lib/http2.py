"""A client of HTTP/2 that has its streams in its own hand."""

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.settings

from tests.lib import web


class Streams:
    """One connection; answers are by stream, interim ones (1xx) counted.
    With a window of 0 no byte of an answer's body can come."""

    def __init__(self, port, window=None):
        self.socket = web.connect(port)
        self.h2 = h2.connection.H2Connection(
            h2.config.H2Configuration(header_encoding="utf-8"))
        self.h2.initiate_connection()
        if window is not None:
            self.h2.update_settings(
                {h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: window})
        self.answers = {}
        self.ended = set()
        self.interim = 0
        self._flush()

    def _flush(self):
        self.socket.sendall(self.h2.data_to_send())

    def begin(self, path, method="POST", headers=()):
        stream = self.h2.get_next_available_stream_id()
        self.h2.send_headers(stream, [
            (":method", method), (":scheme", "http"), (":authority", "x"),
            (":path", path), *headers])
        self._flush()
        return stream

    def send(self, stream, data, end=False):
        """What is left when the stream ends before is not sent."""
        while data and stream not in self.ended:
            room = min(self.h2.local_flow_control_window(stream),
                       self.h2.max_outbound_frame_size)
            if room == 0:
                self._receive()
                continue
            self.h2.send_data(stream, data[:room])
            data = data[room:]
            self._flush()
        if end and stream not in self.ended:
            self.h2.end_stream(stream)
            self._flush()

    def reset(self, stream):
        self.h2.reset_stream(stream)
        self._flush()

    def wait(self, streams):
        """Until all of them are answered."""
        while not self.ended.issuperset(streams):
            self._receive()

    def hear(self, streams):
        """Until the heads of all their answers are there."""
        while not set(self.answers).issuperset(streams):
            self._receive()

    def wait_some(self):
        """Until something comes."""
        self._receive()

    def post(self, path, body, method="POST"):
        stream = self.begin(path, method,
                            [("content-length", str(len(body)))])
        self.send(stream, body, end=True)
        self.wait([stream])
        return self.answers[stream]

    def close(self):
        self.socket.close()

    def _receive(self):
        data = self.socket.recv(65536)
        assert data, "the connection was closed"
        for event in self.h2.receive_data(data):
            if isinstance(event, h2.events.ResponseReceived):
                headers = dict(event.headers)
                self.answers[event.stream_id] = web.Answer(
                    int(headers.pop(":status")), headers, b"")
            elif isinstance(event, h2.events.InformationalResponseReceived):
                self.interim += 1
            elif isinstance(event, h2.events.DataReceived):
                self.answers[event.stream_id].body += event.data
                self.h2.acknowledge_received_data(
                    event.flow_controlled_length, event.stream_id)
            elif isinstance(event, h2.events.StreamEnded):
                self.ended.add(event.stream_id)
            elif isinstance(event, h2.events.StreamReset):
                # no more of the body is wanted: the answer is whole
                assert event.error_code == h2.errors.ErrorCodes.NO_ERROR \
                    and event.stream_id in self.ended, event
        self._flush()
