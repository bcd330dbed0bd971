"""Who calls: access keys, signatures, and the roles that services assume."""
