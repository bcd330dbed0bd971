"""These tests are about answers, not about connections."""

from tests.in_process import answered_in_process as answered_in_process
