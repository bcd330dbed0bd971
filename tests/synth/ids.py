"""Ids in the form of AWS's, for tests."""

VPC = "vpc-0a1b2c3d4e5f60718"
OTHER_VPC = "vpc-0b1b2c3d4e5f60718"
SUBNET = "subnet-0123456789abcdef0"
SUBNETS = ["subnet-0a000000000000001", "subnet-0a000000000000002"]
GROUP = "sg-0123456789abcdef0"
TARGET = "tmt-0123456789abcdef0"
FILTER = "tmf-0123456789abcdef0"
INSTANCES = ["i-0a000000000000001", "i-0a000000000000002"]
NLB = "arn:aws:elasticloadbalancing:eu-central-1:111122223333:loadbalancer/net/capture/0123456789abcdef"
ENDPOINT = "vpce-0123456789abcdef0"
TEMPLATE_URL = "https://s3.amazonaws.com/awsmp-fulfillment-cf-templates-prod/aaaa.bbbb.template"
TOKEN = "${module.somewhere.id}"


def eni(number: int) -> str:
    """Return the id of network interface number `number`."""
    return f"eni-{number:017x}"
