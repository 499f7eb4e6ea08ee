"""Histories that once went wrong, each by its name; they stay, whatever the seeds come to play."""

from __future__ import annotations

CASES: dict[str, str] = {
    "a changed address while removed customers are kept": """
        staff set on_removed keep
        pracbill add 1 ann old-yes
        sync full
        pracbill move 1 bob
        sync incremental
    """,
    "an unsubscribe between the pull and the push of a run": """
        pracbill add 1 ann old-yes
        pracbill add 2 bob old-yes
        sync full
        pracbill edit 1 first_name=Anna
        bulk 1 before: colleague unsubscribe ann
        sync incremental
        machine lose
    """,
    "a no that is another customer's of the address": """
        pracbill add 1 ann old-no
        pracbill add 2 ann old-yes
        pracbill add 3 bob old-yes
        sync full
        pracbill move 2 bob
        sync incremental
    """,
    "a field that is deleted in Mailchimp": """
        pracbill add 1 ann old-yes
        sync full
        colleague delete-field PHONE
        sync incremental
    """,
    "a field that becomes a number": """
        pracbill add 1 ann old-yes
        sync full
        colleague retype-field PHONE number
        pracbill add 2 bob old-yes
        sync incremental
    """,
    "two spellings of one mailbox, a yes and a no": """
        pracbill add 1 mia old-yes
        sync full
        pracbill add 2 mia/1 no
        sync incremental
    """,
    "a run that is cancelled while its chunk is in flight": """
        pracbill add 1 ann old-yes
        pracbill add 2 bob old-yes
        bulk 1 after: staff cancel
        sync full
    """,
    "one address for which Mailchimp drops every call": """
        pracbill add 2 dan none
        pracbill add 3 eve none state=NSW
        staff segment Elsewhere
        sync full
        server culprit dan drop
        customers 1 before: staff segment Elsewhere Victoria
        sync incremental
    """,
}

# Those that the service does not hold yet.
NOT_YET = frozenset[str]()
