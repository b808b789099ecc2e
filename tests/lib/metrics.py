"""kafka_status as Prometheus reads it, by its official parser."""

from prometheus_client.parser import text_string_to_metric_families


class Metrics:
    """Samples by name and labels; a text that is not valid fails."""

    def __init__(self, text):
        self.samples = {}
        self.types = {}
        for family in text_string_to_metric_families(text):
            assert family.name not in self.types, family.name
            assert family.documentation, family.name
            self.types[family.name] = family.type
            for sample in family.samples:
                key = (sample.name, frozenset(sample.labels.items()))
                assert key not in self.samples, key
                self.samples[key] = sample.value

    def find(self, name, **labels):
        """All samples of a name that have these labels, with theirs."""
        return [(dict(have), value) for (other, have), value
                in self.samples.items()
                if other == name and set(labels.items()) <= have]

    def sum(self, name, **labels):
        return sum(value for _, value in self.find(name, **labels))

    def one(self, name, **labels):
        found = self.find(name, **labels)
        assert len(found) == 1, (name, labels, found)
        return found[0][1]


def scrape(server, path="/metrics"):
    """As Prometheus asks."""
    answer = server.request("GET", path, headers={
        "Accept": "application/openmetrics-text;version=1.0.0;q=0.5,"
                  "text/plain;version=0.0.4;q=0.4,*/*;q=0.1"})
    assert answer.status == 200
    assert answer.headers["content-type"] \
        == "text/plain; version=0.0.4; charset=utf-8"
    return Metrics(answer.body.decode())
