"""Packets: captures read and written, frames decoded, packets selected, recorded and handed over.

Pure functions and streams with bounded memory; only `s3` calls AWS. What comes in was written by others: random bytes
never raise anything but `CaptureError`, and never make it allocate without bound.
"""
