"""The wire of the rehearsal: packets at the network interfaces of the account, and copies of them to mirror targets.

`interfaces` reads what EC2 has now, `conversations` says what hosts send, `played` what a user's capture has, `wire`
lets packets pass security groups, network ACLs and mirror sessions, `loopback` carries the copies as UDP datagrams,
and `recorder` writes what arrives. `tapstack.packets.mirroring` decides what is mirrored, as in `tapstack simulate`.
"""
