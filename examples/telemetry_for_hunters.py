"""Telemetry for Hunters, a vendor that assumes a role with an external id: flow logs, findings and endpoint logs.

Hunters makes its own SNS topics and the notifications of the bucket. Its account and your external id are on its
portal. Run it with `python -m examples.telemetry_for_hunters`; docs/xdr.md says how to connect it.
"""

# Import tapstack before cdktf: that is what makes the AWS bindings load in a second.
from tapstack import (
    FeedSettings,
    FlowLogSettings,
    GuardDutyExport,
    ReaderSettings,
    TelemetryLanding,
    VendorTrust,
    VpcFlowLogs,
    XdrReader,
    accept_provider_range,
)

# isort: split
from cdktf import App, TerraformOutput, TerraformStack
from cdktf_cdktf_provider_aws.provider import AwsProvider


def build(app: App) -> TerraformStack:
    """Add the stack to `app`."""
    stack = TerraformStack(app, "telemetry-for-hunters")
    AwsProvider(stack, "aws", region="eu-central-1")
    accept_provider_range(stack)

    landing = TelemetryLanding(
        stack,
        "landing",
        deployment="shop",
        site="frankfurt",
        # The role that the collector of the endpoint protection has.
        feeds={"edr": FeedSettings(principals=("arn:aws:iam::111122223333:role/edr-collector",))},
    )
    VpcFlowLogs(stack, "flow-logs", landing=landing, settings=FlowLogSettings(vpc_ids=("vpc-0a1b2c3d4e5f60718",)))
    GuardDutyExport(stack, "guardduty", landing=landing, detector_id="12abc34d567e8fa901bc2d34e56789f0")
    hunters = XdrReader(
        stack,
        "hunters",
        landing=landing,
        name="hunters",
        settings=ReaderSettings(
            preset="hunters",
            vendor=VendorTrust("444455556666", external_id="7f0c2b9e-31d4-4a86-9c55-e2d18ab0f4c7"),
            prefixes=("flow", "guardduty", "incidents", "feeds/edr"),
        ),
    )
    TerraformOutput(stack, "bucket", value=landing.bucket_name)
    TerraformOutput(stack, "role_arn", value=hunters.role_arn)
    return stack


if __name__ == "__main__":
    app = App()
    build(app)
    app.synth()
