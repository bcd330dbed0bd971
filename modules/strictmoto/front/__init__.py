"""What stands before moto: strangers are refused, calls are recorded and judged, faults are played."""
