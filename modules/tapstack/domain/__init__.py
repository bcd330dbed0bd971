"""What AWS allows, as pure functions and frozen dataclasses.

No I/O, no third-party import, nothing of the rest of tapstack. Every rule lives here
once; the deployment file, the constructs and the responder all ask it.
"""
