"""Events of incidents become objects in the bucket that an XDR reads."""
