"""A reader of OpenMetrics 1.0 text that refuses what the standard does not allow."""

import re

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
SAMPLE = re.compile(rf"({NAME})(?:\{{(.*)\}})? (\S+)(?: (\S+))?$")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)')
SUFFIXES = {
    "counter": {"_total", "_created"},
    "gauge": {""},
    "info": {"_info"},
    "histogram": {"_bucket", "_count", "_sum", "_created"},
    "summary": {"", "_count", "_sum", "_created"},
    "unknown": {""},
}


class Page:
    def __init__(self):
        self.samples = {}
        self.families = {}

    def value(self, name, **labels):
        return self.samples.get((name, tuple(sorted(labels.items()))))


def parse(status, headers, text):
    """Reads a page of metrics, or fails with what is wrong with it."""
    assert status == 200, status
    kind = headers["content-type"]
    assert kind.startswith("application/openmetrics-text; version=1.0.0"), kind
    assert text.endswith("# EOF\n") and text.count("# EOF") == 1, text[-40:]
    page, family, facts = Page(), None, {}
    for line in text.removesuffix("# EOF\n").splitlines():
        assert line and line == line.strip(), repr(line)
        if line.startswith("#"):
            _, what, name, rest = (line.split(" ", 3) + [""])[:4]
            assert what in ("TYPE", "UNIT", "HELP") and re.fullmatch(NAME, name), line
            if name != family:
                assert name not in page.families, f"{name} is not in one piece"
                family, facts = name, {}
                page.families[name] = facts
            assert what not in facts, line
            facts[what] = rest
            if what == "TYPE":
                assert rest in SUFFIXES, line
                assert not name.endswith(("_total", "_bucket", "_info")), line
            if what == "UNIT" and rest:
                assert name.endswith("_" + rest), line
            continue
        read_sample(page, family, facts, line)
    check_histograms(page)
    return page


def read_sample(page, family, facts, line):
    found = SAMPLE.match(line)
    assert found and family, line
    name, labels, value, _ = found.groups()
    assert name.startswith(family), f"{line} is not of {family}"
    suffix = name[len(family):]
    assert suffix in SUFFIXES[facts.get("TYPE", "unknown")], line
    pairs = LABEL.findall(labels or "")
    assert "".join(f'{k}="{v}",' for k, v in pairs) == (labels + "," if labels else ""), line
    assert len({key for key, _ in pairs}) == len(pairs), line
    key = (name, tuple(sorted(pairs)))
    assert key not in page.samples, f"{line} is there twice"
    number = float(value)
    assert number >= 0 or facts["TYPE"] == "gauge", line
    page.samples[key] = number


def check_histograms(page):
    for name, facts in page.families.items():
        if facts.get("TYPE") != "histogram":
            continue
        buckets = [
            (float(dict(labels)["le"]), value)
            for (sample, labels), value in page.samples.items() if sample == name + "_bucket"
        ]
        assert buckets and buckets == sorted(buckets), f"{name}: buckets out of order"
        assert buckets[-1][0] == float("inf"), f"{name}: no +Inf"
        counts = [count for _, count in buckets]
        assert counts == sorted(counts), f"{name}: buckets are not cumulative"
        assert counts[-1] == page.value(name + "_count"), f"{name}: count"
