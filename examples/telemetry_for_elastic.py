"""Telemetry for two readers of one's own: Elastic Agent reads from a queue, and an archive lists the bucket.

Run it with `python -m examples.telemetry_for_elastic`.
"""

# Import tapstack before cdktf: that is what makes the AWS bindings load in a second.
from tapstack import (
    FlowLogSettings,
    LandingSettings,
    OwnTrust,
    ReaderSettings,
    TelemetryLanding,
    VpcFlowLogs,
    XdrReader,
    accept_provider_range,
)

# isort: split
from cdktf import App, TerraformOutput, TerraformStack
from cdktf_cdktf_provider_aws.provider import AwsProvider


def build(app: App) -> TerraformStack:
    """Add the stack to `app`."""
    stack = TerraformStack(app, "telemetry-for-elastic")
    AwsProvider(stack, "aws", region="eu-central-1")
    accept_provider_range(stack)

    landing = TelemetryLanding(
        stack,
        "landing",
        deployment="shop",
        site="frankfurt",
        # The flow logs of another account land here too; that account's own stack makes them.
        settings=LandingSettings(keep_days=90, flow_log_accounts=("444455556666",)),
    )
    VpcFlowLogs(
        stack,
        "flow-logs",
        landing=landing,
        settings=FlowLogSettings(subnet_ids=("subnet-0123456789abcdef0",), record_format="extended"),
    )
    agent = XdrReader(
        stack,
        "elastic",
        landing=landing,
        name="elastic",
        settings=ReaderSettings(
            preset="elastic",
            own=OwnTrust(("arn:aws:iam::111122223333:role/elastic-agent",)),
            prefixes=("flow", "incidents"),
        ),
    )
    # A reader without a preset lists and gets objects of its prefixes.
    archive = XdrReader(
        stack,
        "archive",
        landing=landing,
        name="archive",
        settings=ReaderSettings(own=OwnTrust(("arn:aws:iam::111122223333:role/archive",)), prefixes=("incidents",)),
    )
    TerraformOutput(stack, "role_arns", value={"elastic": agent.role_arn, "archive": archive.role_arn})
    TerraformOutput(stack, "queue_url", value=agent.queue_url)
    return stack


if __name__ == "__main__":
    app = App()
    build(app)
    app.synth()
