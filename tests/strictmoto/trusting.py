"""The trust policy of roles whose policy does not matter: every principal may assume them."""

import json
from typing import Final

TRUST: Final = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}],
    }
)
