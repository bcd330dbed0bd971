"""Every test here shares one jsii kernel."""

import tapstack.bindings  # noqa: F401 - imported first, so that the kernel starts with the preload
