"""A rule reads the same whoever wrote it: the declaration, or Neutron."""

import pytest

from osg_site_iaas.cloud.kinds.security_group import _body, _seen_sentence, _sentence
from osg_site_iaas.declaration.model import Rule

RULES = (
    (Rule("egress"), "egress IPv4"),
    (Rule(protocol="tcp", ports=(22, 22), remote="192.0.2.0/24"), "ingress IPv4 tcp 22 from 192.0.2.0/24"),
    (Rule(protocol="udp", ports=(1, 9), remote="0.0.0.0/0"), "ingress IPv4 udp 1-9"),
    (Rule(protocol="icmp", ports=(8, 8)), "ingress IPv4 icmp 8"),
    (Rule(protocol="any", ethertype="IPv6", remote="::/0"), "ingress IPv6"),
    (Rule("egress", remote="2001:db8::/32", ethertype="IPv6"), "egress IPv6 to 2001:db8::/32"),
)


@pytest.mark.parametrize("rule,words", RULES)
def test_a_declared_rule_is_one_sentence(rule, words):
    assert _sentence(rule) == words


@pytest.mark.parametrize("rule,words", RULES)
def test_what_is_sent_to_neutron_reads_the_same_when_it_comes_back(rule, words):
    nothing = dict.fromkeys(
        ("protocol", "port_range_min", "port_range_max", "remote_ip_prefix", "remote_group_id")
    )
    assert _seen_sentence({**nothing, **_body(rule)}, {}) == words


def test_a_protocol_by_number_is_the_same_as_by_name():
    nothing = dict.fromkeys(("port_range_min", "port_range_max", "remote_ip_prefix", "remote_group_id"))
    assert _seen_sentence({"direction": "ingress", "ethertype": "IPv4", "protocol": "6", **nothing}, {}) == (
        "ingress IPv4 tcp"
    )
