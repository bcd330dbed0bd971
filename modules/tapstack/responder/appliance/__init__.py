"""The appliance that an incident launches, and the mirror target that packets go to."""
