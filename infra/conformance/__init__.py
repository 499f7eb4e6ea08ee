"""Does a PracBill server keep docs/pracbill-api.yaml? A suite for PracBill's developers to run against theirs.

    python -m infra.conformance --url https://pracbill.example/api --token ... --department melbourne-north

It reads only, unless --write is given; see --help. It shows ids, times and names of fields, never people's data.
"""
