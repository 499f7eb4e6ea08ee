"""A stand-in for the Mailchimp Marketing API 3.0: a real HTTP server with state, for this machine only.

It answers the calls that the product uses with the refusals, limits and texts that are published for or recorded
from Mailchimp. See README.md here for how to run it, the control interface and the open questions it had to
decide (`Readings`).
"""

from .faults import Fault
from .problems import Problem
from .readings import Readings
from .standin import MailchimpStandIn
from .traffic import Latency

__all__ = ["Fault", "Latency", "MailchimpStandIn", "Problem", "Readings"]
