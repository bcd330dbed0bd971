"""What services take: the rules that every call is held against before it is answered."""
