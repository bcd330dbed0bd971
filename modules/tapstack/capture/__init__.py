"""Constructs of a packet capture: the appliance, its security groups, target, filter and sessions.

Each takes cdktf tokens for every id, creates no provider and no Terraform variable, and
refuses in its constructor what AWS would refuse.
"""
