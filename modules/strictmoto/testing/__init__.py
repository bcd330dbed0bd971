"""What tests need: fixtures, snapshots, and the proof of least privilege."""
