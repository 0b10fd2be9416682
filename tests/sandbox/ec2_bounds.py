"""How many requests to OpenStack each EC2 call may cost: looked at after every call that any test makes through boto3.

The table in docs/ec2.md says what a call costs when everything that is kept is there. This is the most that it may cost
when nothing is: a loop that asks once for each thing where one list would do is an error in whichever test it shows.
"""

from __future__ import annotations

from typing import Any

# action: (the most for one thing or none, the most more for each further one that the request lists)
MOST: dict[str, tuple[int, int]] = {
    "AllocateAddress": (4, 1),
    "AssociateAddress": (5, 0),
    "AttachVolume": (4, 0),
    "AuthorizeSecurityGroupEgress": (3, 0),
    "AuthorizeSecurityGroupIngress": (3, 0),
    "CopyImage": (5, 0),
    "CreateImage": (4, 0),
    "CreateKeyPair": (1, 0),
    "CreateSecurityGroup": (2, 1),
    "CreateSnapshot": (2, 0),
    "CreateTags": (4, 2),
    "CreateVolume": (3, 0),
    "DeleteKeyPair": (2, 0),
    "DeleteSecurityGroup": (3, 0),
    "DeleteSnapshot": (2, 0),
    "DeleteTags": (4, 2),
    "DeleteVolume": (2, 0),
    "DeregisterImage": (4, 0),
    "DescribeAccountAttributes": (2, 0),
    "DescribeAddresses": (1, 0),
    "DescribeAvailabilityZones": (1, 0),
    "DescribeImageAttribute": (4, 0),
    "DescribeImages": (4, 2),
    "DescribeInstanceAttribute": (2, 0),
    "DescribeInstanceStatus": (5, 1),
    "DescribeInstanceTypeOfferings": (2, 0),
    "DescribeInstanceTypes": (1, 0),
    "DescribeInstances": (8, 1),  # by id, nothing kept: 5 lists, 1 to find them, 1 each, 1 for a token
    "DescribeInternetGateways": (4, 0),
    "DescribeKeyPairs": (1, 0),
    "DescribeNetworkInterfaces": (5, 0),
    "DescribeRegions": (0, 0),
    "DescribeRouteTables": (4, 0),
    "DescribeSecurityGroups": (3, 0),
    "DescribeSnapshots": (1, 0),
    "DescribeSubnets": (2, 0),
    "DescribeTags": (11, 0),
    "DescribeVolumes": (4, 1),  # where volumes wait for their tags; else 1, as test_ec2_storage.py asserts
    "DescribeVpcs": (2, 0),
    "DetachVolume": (4, 0),
    "DisassociateAddress": (3, 0),
    "GetCallerIdentity": (0, 0),
    "GetConsoleOutput": (3, 0),
    "GetPasswordData": (3, 0),
    "ImportKeyPair": (1, 0),
    "ModifyImageAttribute": (4, 1),
    "ModifyInstanceAttribute": (
        85,
        2,
    ),  # looks each half second whether Nova has moved an instance of a new type
    "RebootInstances": (3, 1),
    "RegisterImage": (3, 0),
    "ReleaseAddress": (3, 0),
    "RevokeSecurityGroupEgress": (3, 2),
    "RevokeSecurityGroupIngress": (3, 2),
    "RunInstances": (9, 1),
    "StartInstances": (83, 1),  # the same
    "StopInstances": (3, 1),
    "TerminateInstances": (3, 1),
}

# Kept lists run out at moments of their own: on a slow machine two of them in the middle of a call.
SLACK = 2


def things(given: Any) -> int:
    """How many things the lists of a request name."""
    if isinstance(given, dict):
        return sum(things(value) for value in given.values())
    if isinstance(given, list):
        return sum(max(1, things(one)) for one in given)
    return 0


def watch(client: Any) -> None:
    """Have each call of a client looked at."""
    client.meta.events.register("provide-client-params.*.*", _remember)
    client.meta.events.register("after-call.*.*", _look)


def _remember(params: Any, context: Any, **_: Any) -> None:
    context["things"] = things(params)


def _failed(parsed: Any) -> int:
    """Launches that the answer reports as failed: each has just cost a request to delete it, or did so earlier."""
    every = [one for r in parsed.get("Reservations", ()) for one in r.get("Instances", ())]
    return sum(str((one.get("StateReason") or {}).get("Code")).startswith("Server.") for one in every)


def _look(http_response: Any, parsed: Any, model: Any, context: Any, **_: Any) -> None:
    cost = int(http_response.headers.get("x-backend-requests", 0))
    most, each = MOST.get(model.name, (0, 0))
    bound = most + each * max(0, context.get("things", 0) - 1) + _failed(parsed)
    bound += SLACK if most > 1 else 0
    if http_response.status_code >= 400:
        bound *= 2  # what is not there is looked for again in new lists
    assert cost <= bound, f"{model.name} made {cost} requests to OpenStack, and may make {bound}"
