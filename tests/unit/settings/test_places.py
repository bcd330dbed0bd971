"""Where things are: Regions, partitions and accounts of a file fit together."""

import pytest

from tapstack.settings.load import parse_deployment
from tests.unit.settings.reading import SITE, USABLE, report

NLB = "arn:aws:elasticloadbalancing:eu-central-1:111122223333:loadbalancer/net/capture/0123456789abcdef"
EUSC = """\
backend: {s3: {bucket: states, region: eusc-de-east-1, role_arn: "arn:aws-eusc:iam::111122223333:role/state"}}
sites:
  brandenburg:
    region: eusc-de-east-1
    vpc_id: vpc-0a1b2c3d4e5f60718
    assume_role: {role_arn: "arn:aws-eusc:iam::111122223333:role/deploy"}
    packet_basics:
      template_url: https://appliances.s3.eusc-de-east-1.amazonaws.eu/epb.template
      subnet_id: subnet-0123456789abcdef0
      remote_access_cidr: 10.20.0.0/16
      accept_template_url: true
    targets: {sensor: {network_interface_id: eni-0a0000000000000aa}}
    sessions: {a: {target: sensor, sources: [eni-0a000000000000001]}}
"""
GOV = """\
sites:
  fed:
    region: us-gov-west-1
    vpc_id: vpc-0a1b2c3d4e5f60718
    targets:
      shared:
        load_balancer:
          subnet_ids: [subnet-0a000000000000001, subnet-0a000000000000002]
          instance_ids: [i-0a000000000000001]
        share_with: ["arn:aws-us-gov:organizations::111122223333:ou/o-a1b2c3d4e5/ou-a1b2-c3d4e5f6"]
"""


@pytest.mark.parametrize(
    "text",
    [
        EUSC,
        GOV,
        USABLE.replace("eu-central-1", "cn-north-1").replace("amazonaws.com", "amazonaws.com.cn")
        + "      accept_template_url: true\n",
        USABLE.replace("region: eu-central-1", "region: eu-central-9\n    accept_unknown_region: true"),
        USABLE + "    allowed_account_ids: ['111122223333']\n"
        f"    targets: {{t: {{network_load_balancer_arn: {NLB}}}}}\n",
    ],
    ids=["European Sovereign Cloud", "GovCloud", "China", "a newer Region", "load balancer of the account"],
)
def test_when_all_is_in_one_place_then_it_passes(text: str) -> None:
    parse_deployment(text)


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        (
            USABLE.replace("eu-central-1", "eu-centrall-1"),
            "3: sites.production.region",
            "'eu-centrall-1' is not in this version's list of Regions (2026-11-26): did you mean eu-central-1? set "
            "accept_unknown_region: true for a newer one",
        ),
        (
            "backend: {s3: {bucket: states, region: eu-west-9}}\n" + USABLE,
            "1: backend.s3.region",
            "'eu-west-9' is not in this version's list of Regions (2026-11-26): did you mean eu-west-3? set "
            "accept_unknown_region: true for a newer one",
        ),
        (
            "backend: {s3: {bucket: states, region: eu-west-1, role_arn: 'arn:aws-cn:iam::111122223333:role/r'}}\n"
            + USABLE,
            "1: backend.s3.role_arn",
            "is of partition aws-cn, which Region eu-west-1 cannot reach: expected arn:aws:..., got "
            "'arn:aws-cn:iam::111122223333:role/r'",
        ),
        (
            "backend: {s3: {bucket: states, region: eu-west-1, "
            "kms_key_id: 'arn:aws:kms:eu-west-2:111122223333:alias/k'}}\n" + USABLE,
            "1: backend.s3.kms_key_id",
            "is in Region eu-west-2: expected eu-west-1, got 'arn:aws:kms:eu-west-2:111122223333:alias/k'",
        ),
        (
            USABLE + "    assume_role: {role_arn: 'arn:aws-eusc:iam::111122223333:role/r'}\n",
            "9: sites.production.assume_role.role_arn",
            "is of partition aws-eusc, which Region eu-central-1 cannot reach: expected arn:aws:..., got "
            "'arn:aws-eusc:iam::111122223333:role/r'",
        ),
        (
            USABLE + "    allowed_account_ids: ['444455556666']\n"
            "    assume_role: {role_arn: 'arn:aws:iam::111122223333:role/r'}\n",
            "10: sites.production.assume_role.role_arn",
            "belongs to account 111122223333: expected 444455556666, got 'arn:aws:iam::111122223333:role/r'",
        ),
        (
            USABLE.replace("s3.amazonaws.com", "s3.eusc-de-east-1.amazonaws.eu") + "      accept_template_url: true\n",
            "6: sites.production.packet_basics.template_url",
            "s3.eusc-de-east-1.amazonaws.eu is an address of another partition than that of Region eu-central-1: "
            "expected one that ends in .amazonaws.com",
        ),
        (
            USABLE + "      notification_arns: ['arn:aws:sns:eu-west-1:111122223333:stacks']\n",
            "9: sites.production.packet_basics.notification_arns[0]",
            "is in Region eu-west-1: expected eu-central-1, got 'arn:aws:sns:eu-west-1:111122223333:stacks'",
        ),
        (
            USABLE + f"    targets: {{t: {{network_load_balancer_arn: {NLB.replace('central', 'west')}}}}}\n",
            "9: sites.production.targets.t.network_load_balancer_arn",
            f"is in Region eu-west-1: expected eu-central-1, got '{NLB.replace('central', 'west')}'",
        ),
        (
            USABLE + "    assume_role: {role_arn: 'arn:aws:iam::444455556666:role/r'}\n"
            f"    targets: {{t: {{network_load_balancer_arn: {NLB}}}}}\n",
            "10: sites.production.targets.t.network_load_balancer_arn",
            f"belongs to account 111122223333: expected 444455556666, got '{NLB}'",
        ),
        (
            GOV.replace("aws-us-gov", "aws"),
            "10: sites.fed.targets.shared.share_with[0]",
            "is of partition aws, which Region us-gov-west-1 cannot reach: expected arn:aws-us-gov:..., got "
            "'arn:aws:organizations::111122223333:ou/o-a1b2c3d4e5/ou-a1b2-c3d4e5f6'",
        ),
        (
            GOV.replace(
                '["arn:aws-us-gov:organizations::111122223333:ou/o-a1b2c3d4e5/ou-a1b2-c3d4e5f6"]', "['111122223333']"
            )
            + "    allowed_account_ids: ['111122223333']\n",
            "10: sites.fed.targets.shared.share_with[0]",
            "expected other accounts: the site's own account has the target without sharing, got '111122223333'",
        ),
        (
            SITE
            + "    response:\n      appliance: {launch: {template_url: 'https://s3.cn-north-1.amazonaws.com.cn/b/t', "
            "accept_template_url: true, subnet_id: subnet-0123abcd, remote_access_cidr: 10.0.0.0/8}}\n",
            "6: sites.production.response.appliance.launch.template_url",
            "s3.cn-north-1.amazonaws.com.cn is an address of another partition than that of Region eu-central-1: "
            "expected one that ends in .amazonaws.com",
        ),
        (
            SITE + "    allowed_account_ids: ['444455556666']\n"
            "    response:\n      appliance: {launch: {template_url: "
            "'https://s3.amazonaws.com/awsmp-fulfillment-cf-templates-prod/a/b.template', "
            "subnet_id: subnet-0123abcd, remote_access_cidr: 10.0.0.0/8, capabilities: [CAPABILITY_IAM], "
            "permissions_boundary: 'arn:aws:iam::111122223333:policy/b'}}\n",
            "7: sites.production.response.appliance.launch.permissions_boundary",
            "belongs to account 111122223333: expected 444455556666 or aws, got 'arn:aws:iam::111122223333:policy/b'",
        ),
        (
            SITE + "    response: {appliance: {target: tmt-0123abcd, filter: tmf-0123abcd}, "
            "notify: {topic_arns: ['arn:aws-cn:sns:eu-central-1:111122223333:a']}}\n",
            "5: sites.production.response.notify.topic_arns[0]",
            "is of partition aws-cn, which Region eu-central-1 cannot reach: expected arn:aws:..., got "
            "'arn:aws-cn:sns:eu-central-1:111122223333:a'",
        ),
    ],
)
def test_fails_when_something_is_in_another_place(text: str, place: str, message: str) -> None:
    assert report(text) == [f"deployment.yaml:{place}: {message}"]


def test_fails_when_a_vpc_is_in_two_regions() -> None:
    existing = "{target: tmt-0123abcd, filter: tmf-0123abcd"
    text = (
        SITE
        + f"    sessions: {{a: {existing}, sources: [{{vpc_id: vpc-0b1b2c3d4e5f60718}}]}}}}\n"
        + """\
  second:
    region: eu-west-1
    vpc_id: vpc-0b1b2c3d4e5f60718
    response:
      appliance: {target: tmt-0f23abcd, filter: tmf-0f23abcd}
      containment:
        vpc_ids: [vpc-0a1b2c3d4e5f60718]
  third:
    region: us-gov-west-1
    vpc_id: vpc-0a1b2c3d4e5f60718
    targets: {sensor: {network_interface_id: eni-0123abcd}}
"""
    )
    rule = "a VPC is in one Region, and site"
    assert report(text) == [
        f"deployment.yaml:5: sites.production.sessions.a.sources[0].vpc_id: {rule} second has this one in "
        "eu-west-1, not "
        "eu-central-1, got 'vpc-0b1b2c3d4e5f60718'",
        f"deployment.yaml:12: sites.second.response.containment.vpc_ids[0]: {rule} production has this one in "
        "eu-central-1, not eu-west-1, got 'vpc-0a1b2c3d4e5f60718'",
        f"deployment.yaml:15: sites.third.vpc_id: {rule} production has this one in eu-central-1, not "
        "us-gov-west-1, got "
        "'vpc-0a1b2c3d4e5f60718'",
    ]
