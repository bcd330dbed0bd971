"""The report of a rehearsal: one HTML page that needs nothing else, from what was seen.

`topology` reads the account and what was mirrored, `drawing` lays that out, `page` composes the page.
"""
