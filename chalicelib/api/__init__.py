"""HTTP in and out: routes, access, answers."""
