"""S3: policies around buckets, digests of bodies, and forms."""
