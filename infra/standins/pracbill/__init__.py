"""A stand-in for PracBill: the API of docs/pracbill-api.yaml over a department of realistic, messy customers.

    python -m infra.standins.pracbill --port 0 --state .local/pracbill.json

or, in a test:

    with PracBillStandIn(customers=0) as pracbill:
        pracbill.upsert("17", email="ann@clinic.test")
        requests.get(f"{pracbill.url}/departments/{pracbill.department_id}/customers", headers=pracbill.headers)
"""

from infra.standins.pracbill.seeding import composition, survey
from infra.standins.pracbill.standin import PracBillStandIn

__all__ = ["PracBillStandIn", "composition", "survey"]
