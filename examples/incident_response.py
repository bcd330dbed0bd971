"""An incident response in a stack of your own: an alert comes in, and mirroring starts.

There is no appliance: the first incident launches one, and it is deleted half an hour after the last.
Run it with `python -m examples.incident_response`; docs/incidents.md says how to open an incident.
"""

# Import tapstack before cdktf: that is what makes the AWS bindings load in a second.
from tapstack import (
    Authorization,
    CaptureSettings,
    ContainmentSettings,
    IncidentResponse,
    LaunchedAppliance,
    PolicyRule,
    Protect,
    accept_provider_range,
)

# isort: split
from cdktf import App, TerraformOutput, TerraformStack
from cdktf_cdktf_provider_aws.provider import AwsProvider


def build(app: App) -> TerraformStack:
    """Add the stack to `app`."""
    stack = TerraformStack(app, "incident-response")
    AwsProvider(stack, "aws", region="eu-central-1")
    accept_provider_range(stack)

    response = IncidentResponse(
        stack,
        "response",
        deployment="shop",
        site="frankfurt",
        vpc_id="vpc-0a1b2c3d4e5f60718",
        appliance=LaunchedAppliance(
            template_url=(
                "https://s3.amazonaws.com/awsmp-fulfillment-cf-templates-prod/"
                "5f1c0b1e-6f5a-4c53-9d0e-2b8a7c6d5e4f.1f2e3d4c-5b6a-4798-8877-665544332211.template"
            ),
            subnet_id="subnet-0123456789abcdef0",
            remote_access_cidr="10.20.0.0/16",
            retire_after_minutes=30,
        ),
        authorization=Authorization.jwt(
            "https://login.example.com/security", audience=["tapstack"], scopes=["incidents.respond"]
        ),
        capture=CaptureSettings(minutes=120, max_minutes=720),
        policy=[
            # Command and control, except on honeypots.
            PolicyRule(name="honeypots", action="notify", tags={"role": "honeypot"}),
            PolicyRule(
                name="command-and-control", action="contain_on_approval", at_least=7.0, tactics=("CommandAndControl",)
            ),
        ],
        # Approval within 15 minutes, or the instance is not contained; domain controllers are never contained.
        containment=ContainmentSettings(protect=Protect(tags={"tapstack-protected": "*", "role": "domain-*"})),
        emails=["soc@example.com"],
        tags={"owner": "security-operations"},
    )
    TerraformOutput(stack, "api_endpoint", value=response.api_endpoint)
    TerraformOutput(stack, "dashboard_url", value=response.dashboard_url)
    return stack


if __name__ == "__main__":
    app = App()
    build(app)
    app.synth()
