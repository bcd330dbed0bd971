"""Constructs of the response: the API, the functions, the workflow, the table, the alarms.

`IncidentResponse` wires them all. Each takes cdktf tokens for every id, creates no provider and no
Terraform variable, and refuses in its constructor what AWS would refuse.
"""
