"""PracBill's Mailchimp integration: one audience per department, kept in step, consent first."""

__version__ = "0.1.0"
