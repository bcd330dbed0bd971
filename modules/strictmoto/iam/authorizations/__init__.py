"""What IAM has to allow for a call: actions, resources and the keys that conditions compare.

For the proof of least privilege: a policy is wide enough when it allows every authorization of
every recorded call, and no wider than needed when every action it allows was needed by some call.

Source: the Service Authorization Reference. The tables hold the services that the account has; of
others, the ARNs that a call names count. What a policy can only allow for all resources has the
resource `*`.
"""

from __future__ import annotations

from strictmoto.iam.authorizations.authorization import Authorization
from strictmoto.iam.authorizations.calls import authorizations_of
from strictmoto.iam.authorizations.tags import tags_of

__all__ = ["Authorization", "authorizations_of", "tags_of"]
