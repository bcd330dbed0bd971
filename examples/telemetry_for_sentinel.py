"""Telemetry for Microsoft Sentinel, which shows a token of its OpenID Connect provider and reads from a queue.

Its connector writes what a queue names into one table: more prefixes need a reader each.

Run it with `python -m examples.telemetry_for_sentinel`.
"""

# Import tapstack before cdktf: that is what makes the AWS bindings load in a second.
from tapstack import (
    FlowLogSettings,
    OidcTrust,
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
    stack = TerraformStack(app, "telemetry-for-sentinel")
    AwsProvider(stack, "aws", region="eu-central-1")
    accept_provider_range(stack)

    landing = TelemetryLanding(stack, "landing", deployment="shop", site="frankfurt")
    VpcFlowLogs(stack, "flow-logs", landing=landing, settings=FlowLogSettings(vpc_ids=("vpc-0a1b2c3d4e5f60718",)))
    sentinel = XdrReader(
        stack,
        "sentinel",
        landing=landing,
        name="sentinel",
        settings=ReaderSettings(
            preset="sentinel",
            # Issuer and audience are the preset's; the name has the id of the workspace.
            oidc=OidcTrust(session_name="MicrosoftSentinel_3f2b8c1d-9e47-4b60-8a75-c1d2e3f40596"),
            prefixes=("flow",),
        ),
    )
    TerraformOutput(stack, "role_arn", value=sentinel.role_arn)
    TerraformOutput(stack, "queue_url", value=sentinel.queue_url)
    return stack


if __name__ == "__main__":
    app = App()
    build(app)
    app.synth()
