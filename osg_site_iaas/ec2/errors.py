"""EC2's errors, by the codes that clients act on: a client's fault is 4xx, the cloud's is 5xx."""

from __future__ import annotations

from typing import Optional

from osg_site_iaas.errors import SiteError


class Ec2Error(SiteError):
    """One error answer: EC2's code, a sentence for the user, and the HTTP status."""

    def __init__(
        self, code: str, message: str, status: int = 400, *, retry_after: Optional[int] = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
        self.retry_after = retry_after  # seconds


def auth_failure(message: str = "The access key or the signature is not valid.") -> Ec2Error:
    """AWS answers 401 where nobody could be identified; HTCondor holds the job on it."""
    return Ec2Error("AuthFailure", message, 401)


def signature_mismatch() -> Ec2Error:
    return Ec2Error(
        "SignatureDoesNotMatch",
        "The request signature we calculated does not match the signature you provided."
        " Check your secret access key and signing method.",
        403,
    )


def request_expired(message: str) -> Ec2Error:
    return Ec2Error("RequestExpired", message, 400)


def unauthorized(message: str = "You are not authorized to perform this operation.") -> Ec2Error:
    return Ec2Error("UnauthorizedOperation", message, 403)


def throttled(message: str = "Request limit exceeded.", retry_after: int = 1) -> Ec2Error:
    """503 and exactly this code: what HTCondor's gahp and botocore retry."""
    return Ec2Error("RequestLimitExceeded", message, 503, retry_after=retry_after)


def unavailable(service: str, why: str) -> Ec2Error:
    """The cloud behind the door cannot answer now; never mistaken for an empty answer."""
    return Ec2Error(
        "Unavailable", f"The {service} service of this cloud is not available: {why}.", 503, retry_after=5
    )


def internal(message: str = "An internal error has occurred.") -> Ec2Error:
    return Ec2Error("InternalError", message, 500)


def missing(name: str) -> Ec2Error:
    return Ec2Error("MissingParameter", f"The request must contain the parameter {name}")


def invalid_value(name: str, value: object, why: str = "") -> Ec2Error:
    tail = f". {why}" if why else ""
    return Ec2Error("InvalidParameterValue", f"Value ({value}) for parameter {name} is invalid{tail}")


def unknown_parameter(name: str) -> Ec2Error:
    return Ec2Error("UnknownParameter", f"The parameter {name} is not recognized")


def unsupported(message: str) -> Ec2Error:
    return Ec2Error("UnsupportedOperation", message)


def combination(message: str) -> Ec2Error:
    return Ec2Error("InvalidParameterCombination", message)


# EC2 names the "no such thing" error by resource, each in its own way.
NOT_FOUND = {
    "i": ("InvalidInstanceID.NotFound", "The instance ID '{id}' does not exist"),
    "ami": ("InvalidAMIID.NotFound", "The image id '[{id}]' does not exist"),
    "vol": ("InvalidVolume.NotFound", "The volume '{id}' does not exist."),
    "snap": ("InvalidSnapshot.NotFound", "The snapshot '{id}' does not exist."),
    "sg": ("InvalidGroup.NotFound", "The security group '{id}' does not exist"),
    "sgr": ("InvalidSecurityGroupRuleId.NotFound", "The security group rule ID '{id}' does not exist"),
    "vpc": ("InvalidVpcID.NotFound", "The vpc ID '{id}' does not exist"),
    "subnet": ("InvalidSubnetID.NotFound", "The subnet ID '{id}' does not exist"),
    "eni": ("InvalidNetworkInterfaceID.NotFound", "The networkInterface ID '{id}' does not exist"),
    "eipalloc": ("InvalidAllocationID.NotFound", "The allocation ID '{id}' does not exist"),
    "eipassoc": ("InvalidAssociationID.NotFound", "The association ID '{id}' does not exist"),
    "rtb": ("InvalidRouteTableID.NotFound", "The routeTable ID '{id}' does not exist"),
    "igw": ("InvalidInternetGatewayID.NotFound", "The internetGateway ID '{id}' does not exist"),
    "key": ("InvalidKeyPair.NotFound", "The key pair '{id}' does not exist"),
}

MALFORMED = {
    "i": "InvalidInstanceID.Malformed",
    "ami": "InvalidAMIID.Malformed",
    "vol": "InvalidParameterValue",
    "snap": "InvalidParameterValue",
    "sg": "InvalidGroupId.Malformed",
    "vpc": "InvalidVpcID.Malformed",
    "subnet": "InvalidSubnetID.Malformed",
    "eni": "InvalidNetworkInterfaceId.Malformed",
}


def not_found(prefix: str, ec2_id: str) -> Ec2Error:
    """The error that EC2 gives for an id of this kind that does not exist, or that is not yours."""
    code, text = NOT_FOUND[prefix]
    return Ec2Error(code, text.format(id=ec2_id))


def malformed_id(prefix: str, ec2_id: str) -> Ec2Error:
    code = MALFORMED.get(prefix, "InvalidParameterValue")
    return Ec2Error(code, f'Invalid id: "{ec2_id}" (expecting "{prefix}-...")')
