"""EC2: interfaces, instances, filters, endpoint services, Traffic Mirroring, and what is refused."""
