"""Security groups of a VO's project, with all their rules."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any, Iterable, Mapping, Optional

from osg_site_iaas.cloud.connect import Conflicting
from osg_site_iaas.cloud.kind import Work, project_ref, required_id
from osg_site_iaas.cloud.kinds.keystone import forget
from osg_site_iaas.cloud.kinds.neutron import NeutronKind, in_use, is_ours, needed, other, owner
from osg_site_iaas.cloud.reader import Reader
from osg_site_iaas.declaration.model import Rule, Site
from osg_site_iaas.declaration.model import SecurityGroup as Declared
from osg_site_iaas.plan.model import TAG, Change, KindRule, Ref, Removal, Seen, Wanted, marked

_PROTOCOLS = {"1": "icmp", "6": "tcp", "17": "udp", "58": "ipv6-icmp", "icmpv6": "ipv6-icmp", "any": ""}
_ANYWHERE = ("0.0.0.0/0", "::/0")


class SecurityGroup(NeutronKind):
    """The group itself; its rules are a kind of their own, so that two groups can name each other."""

    rule = KindRule("security_group", Removal.PRUNE, marks=("description", "tagged"))
    path = "/security-groups"
    member = "security_group"

    def desired(self, site: Site) -> Iterable[Wanted]:
        for group in site.security_groups:
            project = owner(site, group.vo)
            yield Wanted(
                Ref(self.name, (project, group.name)),
                {"description": marked(group.description, site.cloud.domain), "tagged": True},
                needs=needed("", project, ""),
                vo=group.vo,
                at=group.at,
            )

    def observe(self, reader: Reader) -> Iterable[Seen]:
        found = self.groups(reader)
        declared = {(owner(reader.site, group.vo), group.name) for group in reader.site.security_groups}
        left = (
            item["project_id"] for key, item in found if key not in declared and is_ours(reader, key, item)
        )
        ports = Counter(
            group for port in in_use(reader, "project_id", left) for group in port.get("security_groups", ())
        )
        for key, item in found:
            yield Seen(
                Ref(self.name, key),
                item["id"],
                {"description": item["description"], "tagged": TAG in item["tags"]},
                ours=is_ours(reader, key, item),
                other=other(reader, key, item),
                needs=needed("", key[0], ""),
                vo=reader.vo_named(key[0]),
                contents={"ports": ports[item["id"]]},
            )

    def create(self, work: Work, change: Change) -> str:
        try:
            return super().create(work, change)
        except Conflicting:
            if change.ref.key[1] != "default":
                raise
        # Neutron makes it with the first look at a project; its rules become the declared ones, as any group's
        project = work.ids[project_ref(change.ref.key[0])]
        path = f"{self.path}?project_id={project}&name=default"
        (found,) = work.cloud.get("network", path)["security_groups"]
        self.update(work, replace(change, id=str(found["id"])))
        return str(found["id"])

    def groups(self, reader: Reader) -> list[tuple[tuple[str, ...], dict[str, Any]]]:
        """Key and item of the groups that are ours or declared, their rules in them."""
        declared = {(owner(reader.site, item.vo), item.name) for item in reader.site.security_groups}
        return self.items(reader, declared)


class SecurityGroupRules(NeutronKind):
    """All the rules of a declared group: one that is added by hand is taken away. They read as sentences."""

    rule = KindRule("security_group_rules", Removal.NEVER, derived=True)
    ownership = "its group is ours"

    def desired(self, site: Site) -> Iterable[Wanted]:
        for group in site.security_groups:
            project = owner(site, group.vo)
            friends = {group.name} | {rule.remote_group for rule in group.rules if rule.remote_group}
            yield Wanted(
                Ref(self.name, (project, group.name)),
                {"rules": sorted({_sentence(rule) for rule in group.rules})},
                needs=tuple(Ref("security_group", (project, friend)) for friend in sorted(friends)),
                vo=group.vo,
                at=group.at,
            )

    def observe(self, reader: Reader) -> Iterable[Seen]:
        found = SecurityGroup().groups(reader)
        names = {item["id"]: item["name"] for _, item in found}
        for key, item in found:
            yield Seen(
                Ref(self.name, key),
                item["id"],
                {"rules": sorted(_seen_sentence(rule, names) for rule in item["security_group_rules"])},
                ours=is_ours(reader, key, item),
                needs=(Ref("security_group", key),),
                vo=reader.vo_named(key[0]),
            )

    def create(self, work: Work, change: Change) -> str:
        group = work.ids[Ref("security_group", change.ref.key)]
        self._rules(work, group, change)
        return group

    def update(self, work: Work, change: Change) -> None:
        self._rules(work, required_id(change), change)

    def _rules(self, work: Work, group: str, change: Change) -> None:
        """Make the rules what is declared; those that Neutron gives every new group go where they are not."""
        declared = _declared(work.site, change.ref)
        wanted = {_sentence(rule): rule for rule in declared.rules}
        there = work.cloud.get("network", f"/security-groups/{group}")["security_group"][
            "security_group_rules"
        ]
        names = {rule["remote_group_id"]: "" for rule in there if rule["remote_group_id"]}
        for rule in declared.rules:
            if rule.remote_group:
                names[self._friend(work, change, group, rule.remote_group)] = rule.remote_group
        kept = set()
        for rule in there:
            sentence = _seen_sentence(rule, names)
            if sentence in wanted and sentence not in kept:
                kept.add(sentence)
            else:
                forget(work, "network", f"/security-group-rules/{rule['id']}")
        for sentence, rule in wanted.items():
            if sentence not in kept:
                body = _body(rule)
                body["security_group_id"] = group
                if rule.remote_group:
                    body["remote_group_id"] = self._friend(work, change, group, rule.remote_group)
                try:
                    work.cloud.request(
                        "POST", "network", "/security-group-rules", json={"security_group_rule": body}
                    )
                except Conflicting:  # Neutron has the same rule in other words
                    continue

    @staticmethod
    def _friend(work: Work, change: Change, group: str, name: str) -> str:
        if name == change.ref.key[1]:
            return group
        return work.ids[Ref("security_group", (change.ref.key[0], name))]


def _declared(site: Site, ref: Ref) -> Declared:
    return next(g for g in site.security_groups if (owner(site, g.vo), g.name) == ref.key)


def _sentence(rule: Rule) -> str:
    return _words(rule.direction, rule.ethertype, rule.protocol, rule.ports, rule.remote, rule.remote_group)


def _seen_sentence(rule: Mapping[str, Any], names: Mapping[str, str]) -> str:
    low, high = rule["port_range_min"], rule["port_range_max"]
    ports = None if low is None and high is None else (low, high)
    group = rule["remote_group_id"]
    friend = (names.get(group) or group) if group else None
    return _words(
        rule["direction"], rule["ethertype"], rule["protocol"], ports, rule["remote_ip_prefix"], friend
    )


def _words(
    direction: str,
    ethertype: str,
    protocol: Optional[str],
    ports: Optional[tuple[Any, Any]],
    remote: Optional[str],
    group: Optional[str],
) -> str:
    """The same words for the same rule, whoever wrote it: ``ingress IPv4 tcp 22 from 192.0.2.0/24``."""
    name = _PROTOCOLS.get(str(protocol or "").lower(), str(protocol or "").lower())
    words = [direction, ethertype]
    if name:
        words.append(name)
    if ports and ports[0] is not None:
        words.append(str(ports[0]) if ports[0] == ports[1] or ports[1] is None else f"{ports[0]}-{ports[1]}")
    link = "from" if direction == "ingress" else "to"
    if group:
        words += [link, "group", group]
    elif remote and remote not in _ANYWHERE:
        words += [link, remote]
    return " ".join(words)


def _body(rule: Rule) -> dict[str, Any]:
    body: dict[str, Any] = {"direction": rule.direction, "ethertype": rule.ethertype}
    if rule.protocol and rule.protocol != "any":
        body["protocol"] = rule.protocol
    if rule.ports:
        body["port_range_min"], body["port_range_max"] = rule.ports
        if "icmp" in (rule.protocol or ""):  # for Neutron these are the type and the code; we name types only
            del body["port_range_max"]
    if rule.remote and rule.remote not in _ANYWHERE:
        body["remote_ip_prefix"] = rule.remote
    return body
