"""The query protocol, against what botocore itself writes and reads."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from datetime import datetime, timezone
from urllib.parse import urlencode

import pytest
from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.parsers import create_parser
from botocore.serialize import create_serializer
from hypothesis import given, settings
from hypothesis import strategies as st

from osg_site_iaas.ec2.errors import Ec2Error
from osg_site_iaas.ec2.protocol.model import Model, load_model
from osg_site_iaas.ec2.protocol.parse import given_paths, parse_input
from osg_site_iaas.ec2.protocol.query import MAX_BYTES, MAX_PARAMETERS, operation_parameters, parse_form
from osg_site_iaas.ec2.protocol.write import UnknownMemberError, Writer, error_answer

SERVED = [
    "RunInstances",
    "DescribeInstances",
    "AuthorizeSecurityGroupIngress",
    "CreateTags",
    "ModifyImageAttribute",
    "DescribeSpotPriceHistory",
    "ImportKeyPair",
    "DescribeKeyPairs",
    "TerminateInstances",
    "RebootInstances",
    "CreateVolume",
]


@pytest.fixture(scope="module")
def model() -> Model:
    return load_model(SERVED)


@pytest.fixture(scope="module")
def botocore_model() -> ServiceModel:
    return ServiceModel(Loader().load_service_model("ec2", "service-2"))


def as_sent(botocore_model: ServiceModel, operation: str, values: dict) -> dict[str, str]:
    request = create_serializer("ec2").serialize_to_request(values, botocore_model.operation_model(operation))
    return operation_parameters(parse_form(urlencode(request["body"]).encode()))


@pytest.mark.parametrize(
    "operation, values",
    [
        ("RunInstances", {"ImageId": "ami-1", "MinCount": 1, "MaxCount": 3, "ClientToken": "t"}),
        (
            "RunInstances",
            {"MinCount": 1, "MaxCount": 1, "SecurityGroups": ["a", "b"], "SecurityGroupIds": ["sg-1"]},
        ),
        (
            "RunInstances",
            {
                "MinCount": 1,
                "MaxCount": 1,
                "BlockDeviceMappings": [
                    {"DeviceName": "/dev/vda", "Ebs": {"VolumeSize": 8, "Encrypted": False}}
                ],
                "NetworkInterfaces": [{"DeviceIndex": 0, "Groups": ["sg-1", "sg-2"], "SubnetId": "subnet-1"}],
                "TagSpecifications": [
                    {"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": "é & <x>"}]}
                ],
                "Placement": {"AvailabilityZone": "nova"},
            },
        ),
        ("DescribeInstances", {"Filters": [{"Name": "tag:a.b", "Values": ["1", "2"]}], "MaxResults": 5}),
        (
            "AuthorizeSecurityGroupIngress",
            {
                "GroupId": "sg-1",
                "IpPermissions": [
                    {
                        "IpProtocol": "tcp",
                        "FromPort": 22,
                        "ToPort": 22,
                        "IpRanges": [{"CidrIp": "192.0.2.0/24"}],
                        "UserIdGroupPairs": [{"GroupName": "other"}],
                    }
                ],
            },
        ),
        ("ImportKeyPair", {"KeyName": "k", "PublicKeyMaterial": b"ssh-rsa AAAA\n"}),
        ("DescribeSpotPriceHistory", {"StartTime": datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)}),
        ("ModifyImageAttribute", {"ImageId": "ami-1", "LaunchPermission": {"Add": [{"UserId": "p"}]}}),
    ],
)
def test_what_botocore_writes_is_read_back(model, botocore_model, operation, values):
    assert values == parse_input(model, operation, as_sent(botocore_model, operation, values))


def test_condor_counts_its_lists_from_zero(model):
    sent = {
        "ResourceId.0": "i-1",
        "Tag.0.Key": "Name",
        "Tag.0.Value": "x",
        "Tag.1.Key": "VO",
        "Tag.1.Value": "",
    }
    expected = {"Resources": ["i-1"], "Tags": [{"Key": "Name", "Value": "x"}, {"Key": "VO", "Value": ""}]}
    assert expected == parse_input(model, "CreateTags", sent)


def test_the_order_of_a_list_is_that_of_its_numbers(model):
    sent = {f"InstanceId.{n}": str(n) for n in (10, 9, 1)}
    assert parse_input(model, "DescribeInstances", sent) == {"InstanceIds": ["1", "9", "10"]}


def test_condors_whole_run_instances_is_understood(model):
    sent = {
        "ImageId": "ami-1",
        "MinCount": "1",
        "MaxCount": "1",
        "InstanceInitiatedShutdownBehavior": "terminate",
        "ClientToken": "0f",
        "InstanceType": "m1.small",
        "KeyName": "SSH_a b",
        "UserData": "eA==",
        "SecurityGroup.0": "default",
        "SecurityGroupId.1": "sg-1",
        "Placement.AvailabilityZone": "nova",
        "SubnetId": "subnet-1",
        "PrivateIpAddress": "192.0.2.7",
        "BlockDeviceMapping.1.VirtualName": "ephemeral0",
        "BlockDeviceMapping.1.DeviceName": "/dev/vdb",
    }
    values = parse_input(model, "RunInstances", sent)
    assert values["SecurityGroups"] == ["default"]
    assert values["BlockDeviceMappings"] == [{"VirtualName": "ephemeral0", "DeviceName": "/dev/vdb"}]


@pytest.mark.parametrize(
    "sent, code",
    [
        ({"InstanceID.1": "i-1"}, "UnknownParameter"),
        ({"InstanceId.x": "i-1"}, "UnknownParameter"),
        ({"InstanceId": "i-1"}, "InvalidParameterValue"),
        ({"InstanceId.1": "a", "InstanceId.01": "b"}, "InvalidParameterValue"),
        ({"InstanceId.1": "a", "InstanceId.1.Foo": "b"}, "InvalidParameterCombination"),
        ({"InstanceId.1.Foo": "b"}, "InvalidParameterValue"),
        ({"MaxResults": "five"}, "InvalidParameterValue"),
        ({"MaxResults": "9" * 40}, "InvalidParameterValue"),
        ({"DryRun": "maybe"}, "InvalidParameterValue"),
        ({"Filter.1.Name": "x", "Filter.1.Frob": "y"}, "UnknownParameter"),
        ({"Filter": "x"}, "InvalidParameterValue"),
        ({"a" + ".b" * 20: "x"}, "InvalidParameterValue"),
        ({"a..b": "x"}, "InvalidParameterValue"),
    ],
)
def test_a_malformed_query_is_the_clients_error(model, sent, code):
    with pytest.raises(Ec2Error) as caught:
        parse_input(model, "DescribeInstances", sent)
    assert code == caught.value.code
    assert 400 <= caught.value.status < 500


@pytest.mark.parametrize("raw", [b"a=%ff", b"a=1&a=2", b"=1", b"a=%00", b"a=%EF%BF%BF"])
def test_a_form_that_is_not_text_is_refused(raw):
    with pytest.raises(Ec2Error, match="syntax error"):
        parse_form(raw)


def test_size_and_count_are_bounded():
    with pytest.raises(Ec2Error, match="larger"):
        parse_form(b"a=" + b"x" * MAX_BYTES)
    with pytest.raises(Ec2Error, match="more than"):
        parse_form(b"&".join(b"a%d=" % n for n in range(MAX_PARAMETERS + 1)))


def outcome(call) -> str:
    try:
        values = call()
    except Ec2Error as error:
        return "client error" if 400 <= error.status < 500 else str(error)
    return "values" if isinstance(values, dict) else repr(values)


names = st.sampled_from(
    [
        "InstanceId",
        "Filter",
        "Name",
        "Value",
        "1",
        "0",
        "99999999",
        "DryRun",
        "",
        "é",
        "Ebs",
        "BlockDeviceMapping",
    ]
)
keys = st.lists(names, min_size=1, max_size=15).map(".".join)


@settings(max_examples=400, deadline=None)
@given(st.dictionaries(keys, st.text(max_size=20), max_size=8), st.sampled_from(SERVED))
def test_no_query_gets_past_the_parser_as_anything_but_values_or_an_error(model, sent, operation):
    assert outcome(lambda: parse_input(model, operation, sent)) in ("values", "client error")


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_get_past_the_form_reader_as_anything_but_text_or_an_error(raw):
    assert outcome(lambda: parse_form(raw)) in ("values", "client error")


def test_given_paths_leave_out_list_positions():
    values = {"A": [{"B": 1}, {"C": {"D": 2}}], "E": [], "F": {}}
    assert list(given_paths(values)) == [("A.B", 1), ("A.C.D", 2), ("E", []), ("F", {})]


def read_back(botocore_model: ServiceModel, operation: str, body: bytes) -> dict:
    response = {"body": body, "headers": {}, "status_code": 200}
    parsed = create_parser("ec2").parse(response, botocore_model.operation_model(operation).output_shape)
    parsed.pop("ResponseMetadata")
    return parsed


def test_what_the_writer_writes_botocore_reads(model, botocore_model):
    values = {
        "Reservations": [
            {
                "ReservationId": "r-1",
                "OwnerId": "p",
                "Groups": [],
                "Instances": [
                    {
                        "InstanceId": "i-1",
                        "State": {"Code": 16, "Name": "running"},
                        "LaunchTime": datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc),
                        "EbsOptimized": False,
                        "Tags": [{"Key": "a<b", "Value": "ü&"}],
                        "SecurityGroups": [{"GroupName": "g", "GroupId": "sg-1"}],
                    }
                ],
            }
        ]
    }
    body = Writer(model, strict=True).answer("DescribeInstances", values, "req-1", "2016-11-15")
    assert values == read_back(botocore_model, "DescribeInstances", body)


def test_the_answer_starts_as_condor_wants_it_and_keeps_the_clients_version(model):
    body = Writer(model).answer("DescribeKeyPairs", {"KeyPairs": []}, "req-1", "2012-10-01")
    assert body.startswith(b'<?xml version="1.0" encoding="UTF-8"?>\n<DescribeKeyPairsResponse ')
    assert b'xmlns="http://ec2.amazonaws.com/doc/2012-10-01/"' in body
    assert b"<requestId>req-1</requestId>" in body
    assert b"<keySet></keySet>" in body


def test_an_odd_version_does_not_reach_the_namespace(model):
    body = Writer(model).answer("DescribeKeyPairs", {"KeyPairs": []}, "r", '"><x')
    assert b"2016-11-15" in body


def test_an_operation_without_an_output_returns_true(model):
    assert b"<return>true</return>" in Writer(model).answer("RebootInstances", None, "r", "2016-11-15")


def test_a_member_the_model_lacks_is_an_error_when_strict_and_left_out_otherwise(model):
    values = {"KeyPairs": [{"KeyName": "k", "Colour": "red"}]}
    with pytest.raises(UnknownMemberError):
        Writer(model, strict=True).answer("DescribeKeyPairs", values, "r", "2016-11-15")
    assert b"red" not in Writer(model).answer("DescribeKeyPairs", values, "r", "2016-11-15")


def test_a_fragment_stands_for_the_value_it_was_made_of(model):
    writer = Writer(model)
    key = {"KeyName": "k<", "KeyFingerprint": "aa"}
    with_value = writer.answer("DescribeKeyPairs", {"KeyPairs": [key]}, "r", "2016-11-15")
    fragment = writer.fragment("KeyPairInfo", key)
    assert with_value == writer.answer("DescribeKeyPairs", {"KeyPairs": [fragment]}, "r", "2016-11-15")


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=60), st.text(max_size=60))
def test_no_text_breaks_an_error_document(code, message):
    root = ET.fromstring(error_answer(code, message, "req-1"))
    assert root.find("Errors/Error/Code") is not None


def test_only_the_shapes_that_are_reached_are_kept(model):
    assert len(model.known) > 500
    assert set(SERVED) == set(model.operations)
    assert "DescribeFleetsRequest" not in model.shapes


def test_the_throttling_error_is_what_condor_retries():
    assert b"<Error><Code>RequestLimitExceeded</Code>" in error_answer("RequestLimitExceeded", "m", "r")
