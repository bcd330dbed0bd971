import os

import hypothesis

# CI looks at the same examples every time; elsewhere each run may find something new.
hypothesis.settings.register_profile("tapstack", deadline=None, max_examples=100, derandomize="CI" in os.environ)
hypothesis.settings.load_profile("tapstack")
