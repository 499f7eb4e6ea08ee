"""The pure core: decides, never does. No I/O, no clock, no boto3, no chalice."""
