"""IAM: who may do what in the account.

`policies` reads statements, `evaluation` decides; `identities` and `guards` find the policies that the account holds,
`enforcement` refuses calls before a service sees them, and `trust` those that assume a role.
"""
