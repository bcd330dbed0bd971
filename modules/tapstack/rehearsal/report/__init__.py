"""The report of a rehearsal: one HTML page that needs nothing else, from what was seen.

`topology` looks at the account and says who was mirrored, `drawing` lays that out, `page` puts the page together.
"""
