"""GuardDuty: detectors, and where their findings are exported to."""
