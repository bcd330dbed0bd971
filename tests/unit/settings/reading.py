import pytest

from tapstack.settings.load import parse_deployment
from tapstack.settings.problems import DeploymentError

# Four lines each: what follows a site begins in line 5, what follows its appliance in line 9.
SITE = """\
sites:
  production:
    region: eu-central-1
    vpc_id: vpc-0a1b2c3d4e5f60718
"""
APPLIANCE = """\
    packet_basics:
      template_url: https://s3.amazonaws.com/awsmp-fulfillment-cf-templates-prod/epb.template
      subnet_id: subnet-0123456789abcdef0
      remote_access_cidr: 10.20.0.0/16
"""
USABLE = SITE + APPLIANCE


def report(text: str) -> list[str]:
    """The lines of the report on a file that is refused."""
    with pytest.raises(DeploymentError) as caught:
        parse_deployment(text)
    return str(caught.value).splitlines()
