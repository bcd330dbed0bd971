"""The account for tests of its services."""

from tests.iam_off import enforces_iam as enforces_iam
from tests.iam_off import iam as iam
