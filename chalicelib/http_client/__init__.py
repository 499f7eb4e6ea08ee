"""How this service calls others over HTTP: what both clients share, and nothing that belongs to one of them."""
