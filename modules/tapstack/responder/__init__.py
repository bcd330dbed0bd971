"""What runs in Lambda: the steps of the response, its API, and what cleans up behind it.

It imports the standard library, botocore, Powertools for AWS Lambda, fastjsonschema and
`tapstack.domain`, and nothing else. Each handler imports only what it needs.
"""
