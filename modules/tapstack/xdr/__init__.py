"""Telemetry of a site for an XDR: the bucket that it lands in, what puts it there, and who reads it."""
