"""What Prometheus is given, as its own reader takes it, and the alerts of examples/prometheus, which must fit."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Iterator

import promql_parser
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families as families

from osg_site_iaas.accounting import metrics
from osg_site_iaas.accounting.status import Status
from osg_site_iaas.cli.main import main
from osg_site_iaas.ec2 import errors, metadata_door
from osg_site_iaas.ec2.store import Store
from osg_site_iaas.identity.watch import Counters
from osg_site_iaas.ops import doctor, gauges
from osg_site_iaas.ops.finding import FOUND, OK, SKIPPED, UNKNOWN, Finding, Result
from osg_site_iaas.ops.usage import WATCHED, Use

ROOT = Path(__file__).parents[3]
EXAMPLES = ROOT / "examples/prometheus"
LARGE = 1_234_567  # of which six digits would be no count
RESULTS = (
    Result("keystone", OK),
    Result("ec2", FOUND, findings=(Finding("a", "b"), Finding("c", "d"))),
    Result("front", SKIPPED),
    Result("quotas", UNKNOWN),
)


def given(tmp_path: Path) -> dict[str, str]:
    """The text of everything that can be scraped, by who tells it."""
    told = {}
    for name in ("ec2", "metadata"):
        store = Store(tmp_path / name / "store")
        codes = (
            "ok",
            errors.internal().code,
            errors.unavailable("identity", "no").code,
            errors.throttled().code,
        )
        for code in codes if name == "ec2" else ("200", "503"):
            store.count("RunInstances" if name == "ec2" else metadata_door.KINDS[0], code, 0.25, LARGE)
        told[name] = store.metrics(name, "calls")
    counters = Counters()
    for outcome in ("admitted", "refused", "unavailable", "passed"):
        counters.request(("x509", outcome, "200"), 0.5)
    counters.no_tls()
    told["front"] = counters.text()
    told["accounting"] = metrics.text(whole_status(), failed=False)
    told["doctor"] = gauges.text(RESULTS, 1795000000, {'c"m\\s\n': (Use("compute", "cores", 3, 4),)})
    return told


def whole_status() -> Status:
    """One of which everything is known."""
    return Status(**dict.fromkeys(Status.__dataclass_fields__, 1) | {"kept": ()})  # type: ignore[arg-type]


def samples(text: str) -> Iterator[Any]:
    for family in families(text):
        yield from family.samples


@pytest.mark.parametrize("who", ["ec2", "metadata", "front", "accounting", "doctor"])
def test_prometheus_reads_it_and_each_metric_says_what_it_is(tmp_path: Path, who: str) -> None:
    text = given(tmp_path)[who]
    found = list(families(text))
    assert found
    for family in found:
        assert family.documentation, family.name
        assert family.type == ("counter" if who in ("ec2", "metadata", "front") else "gauge")
        assert family.samples, family.name
        assert family.name.startswith(f"osg_site_iaas_{who}_") or who == "doctor"
    names = re.findall(r"^# TYPE (\S+)", text, re.MULTILINE)
    assert len(names) == len(set(names))


def test_large_counts_keep_their_last_digit(tmp_path: Path) -> None:
    values = {one.value for one in samples(given(tmp_path)["ec2"])}
    assert LARGE in values


def test_a_label_may_hold_anything(tmp_path: Path) -> None:
    labels = [one.labels for one in samples(given(tmp_path)["doctor"]) if "quota" in one.name]
    assert {one["vo"] for one in labels} == {'c"m\\s\n'}


def test_what_was_seen_is_told_as_numbers() -> None:
    told = {(one.name, one.labels.get("check")): one.value for one in samples(gauges.text(RESULTS, 7))}
    assert told == {
        ("osg_site_iaas_doctor_findings", "keystone"): 0,
        ("osg_site_iaas_doctor_findings", "ec2"): 2,
        ("osg_site_iaas_doctor_findings", "quotas"): 0,
        ("osg_site_iaas_doctor_unknown", "keystone"): 0,
        ("osg_site_iaas_doctor_unknown", "ec2"): 0,
        ("osg_site_iaas_doctor_unknown", "quotas"): 1,
        ("osg_site_iaas_doctor_timestamp_seconds", None): 7,
    }
    some = gauges.text(RESULTS, 7, whole=False)
    assert "timestamp" not in some  # a few checks are no examination of the site
    unbound = gauges.text((), 7, {"cms": (Use("compute", "cores", 3, -1),)})
    assert 'quota_used{vo="cms",service="compute",resource="cores"} 3' in unbound
    assert "quota_limit" not in unbound


def test_a_public_page_whose_findings_have_no_words_still_counts_that_there_are_some() -> None:
    told = gauges.text([Result("ec2", FOUND), Result("front", OK)], 1795000000, whole=False)
    values = {
        s.labels["check"]: s.value for one in families(told) for s in one.samples if "findings" in s.name
    }
    assert values == {"ec2": 1, "front": 0}
    assert "timestamp" not in told


def test_doctor_writes_them_where_it_is_told(tmp_path: Path) -> None:
    file = tmp_path / "site.prom"
    words = ["doctor", "/nope/site.yml", "--only", "declaration", "quotas", "--metrics"]
    assert main([*words, str(file)]) == 2
    values = {(one.name[14:], one.labels["check"]): one.value for one in samples(file.read_text())}
    assert values["doctor_findings", "declaration"] == 1
    assert values["doctor_unknown", "quotas"] == 1
    assert main([*words, str(tmp_path / "none/site.prom")]) == 1


def rules() -> list[dict[str, Any]]:
    data = yaml.safe_load((EXAMPLES / "alerts.yml").read_text(encoding="utf-8"))
    return [rule for group in data["groups"] for rule in group["rules"]]


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_an_alert_is_about_what_there_is(tmp_path: Path, rule: dict[str, Any]) -> None:
    """Its expression can be parsed, and each metric, label and value in it is one that is told."""
    told: dict[str, dict[str, set[str]]] = {"up": {"job": set(jobs())}}
    for text in given(tmp_path).values():
        for one in samples(text):
            for label, value in one.labels.items():
                told.setdefault(one.name, {}).setdefault(label, set()).add(value)
            told.setdefault(one.name, {})
    promql_parser.parse(rule["expr"])
    for name, matchers in re.findall(r"\b(up|osg_site_iaas_\w+)\b(?:\{([^}]*)\})?", rule["expr"]):
        assert name in told, name
        for label, sign, pattern in re.findall(r'(\w+)(=~|=)"([^"]*)"', matchers):
            for one in pattern.split("|") if sign == "=~" else [re.escape(pattern)]:
                assert any(re.fullmatch(one, value) for value in told[name][label]), (name, label, one)
    for names in re.findall(r"without \(([^)]*)\)", rule["expr"]):
        for label in names.split(", "):
            assert any(label in labels for labels in told.values()), label
    words = rule["annotations"]
    assert set(words) == {"summary", "todo"}
    for checks in re.findall(r"doctor --only ([a-z0-9 -]+)", words["todo"]):
        assert set(checks.split()) <= set(doctor.TABLE)
    for unit in re.findall(r"(?:osg-site-iaas|gratia-probe)-[a-z0-9.-]+", words["todo"]):
        file = unit if unit.endswith((".timer", ".service")) else f"{unit}.service"
        assert (ROOT / "packaging/systemd" / file).exists(), unit


def jobs() -> list[str]:
    data = yaml.safe_load((EXAMPLES / "scrape.yml").read_text(encoding="utf-8"))
    return [one["job_name"] for one in data["scrape_configs"]]


def test_each_job_of_a_door_is_called_as_its_unit() -> None:
    doors = [name for name in jobs() if name != "node"]
    assert len(doors) == 3
    assert all((ROOT / f"packaging/systemd/{name}.service").exists() for name in doors)


def test_every_metric_is_on_the_page(tmp_path: Path) -> None:
    page = (ROOT / "docs/watching.md").read_text(encoding="utf-8")
    names = {
        name for text in given(tmp_path).values() for name in re.findall(r"^# TYPE (\S+)", text, re.MULTILINE)
    }
    assert {name for name in names if f"`{name}`" not in page} == set()
    assert set(re.findall(r"`(osg_site_iaas_\w+)`", page)) <= names


def test_units_of_quotas_are_as_the_help_says() -> None:
    named = {name: words for names in WATCHED.values() for name, words in names.items()}
    assert (named["ram"], named["gigabytes"]) == ("MiB of memory", "GiB of volumes")
