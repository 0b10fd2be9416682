"""GetCallerIdentity, of STS: the one call that tells a client who it is. STS words its answers in its own way."""

from __future__ import annotations

from typing import Any, Mapping

from osg_site_iaas.ec2.actions.registry import Answer, Call, Parameters, action
from osg_site_iaas.ec2.protocol.write import DECLARATION, xml_text

NAMESPACE = "https://sts.amazonaws.com/doc/2011-06-15/"


@action(
    service="sts",
    requests="0",
    notes="Account is the Keystone project's id, UserId the user's; the Arn names both.",
)
def get_caller_identity(call: Call, parameters: Parameters) -> Answer:
    grant = call.grant
    return {
        "Arn": f"arn:aws:iam::{grant.project_id}:user/{grant.user_name}",
        "UserId": grant.user_id,
        "Account": grant.project_id,
    }


def sts_answer(operation: str, values: Mapping[str, Any], request_id: str) -> bytes:
    """An answer in STS's envelope."""
    inner = "".join(f"<{name}>{xml_text(value)}</{name}>" for name, value in values.items())
    return (
        f'{DECLARATION}\n<{operation}Response xmlns="{NAMESPACE}"><{operation}Result>{inner}</{operation}Result>'
        f"<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata></{operation}Response>"
    ).encode()


def sts_error(code: str, message: str, request_id: str) -> bytes:
    """An error in STS's envelope."""
    return (
        f'{DECLARATION}\n<ErrorResponse xmlns="{NAMESPACE}"><Error><Type>Sender</Type><Code>{xml_text(code)}</Code>'
        f"<Message>{xml_text(message)}</Message></Error><RequestId>{xml_text(request_id)}</RequestId></ErrorResponse>"
    ).encode()
