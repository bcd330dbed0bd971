"""The table: incidents, captures of interfaces, the launched appliance.

Every write has a condition, so that no update of another function is lost, and every
write may be made twice.
"""
