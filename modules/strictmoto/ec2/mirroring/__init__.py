"""Traffic Mirroring as AWS behaves, as an extension of moto's EC2.

`install()` teaches the moto of this process the fifteen Traffic Mirroring actions, with
AWS's validation, quotas and error codes; `of(ec2_backend)` gives the same to Python code
beside the API, such as the CloudFormation part. State hangs on moto's EC2 backend of one
account and Region, and so vanishes when moto is reset.

Source of the rules: VPC Traffic Mirroring guide; docs/conformance.md lists them, and says which are
inferred.
"""

from __future__ import annotations

from strictmoto.ec2.mirroring.install import install
from strictmoto.ec2.mirroring.mirroring import Mirroring, of

__all__ = ["Mirroring", "install", "of"]
