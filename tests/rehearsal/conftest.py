"""The account for tests of what Tapstack does in it."""

from tests.iam_off import enforces_iam as enforces_iam
from tests.iam_off import iam as iam
from tests.strictmoto.cloudformation.conftest import account as account
from tests.strictmoto.cloudformation.conftest import endpoint as endpoint
from tests.strictmoto.iam.conftest import enforcing as enforcing
