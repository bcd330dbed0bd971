"""The deployment file: its models, and how it is read.

Nothing here imports cdktf: a wrong file is refused in milliseconds.
"""
