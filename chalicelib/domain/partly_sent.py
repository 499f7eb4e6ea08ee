"""What of a customer Mailchimp does not get, in words for staff: what is left out or cut, why, what mends it. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from chalicelib.domain.fieldmap import WANTED_FIELDS, LeftOut
from chalicelib.domain.hold_reasons import Explanation

if TYPE_CHECKING:
    from collections.abc import Sequence

# The outcome of a record, and the name of the count.
PARTLY_SENT: Final = "partly_sent"

_FIELDS = {wanted.tag: wanted.noun for wanted in WANTED_FIELDS}
_PARTS = {
    "line1": "first line",
    "line2": "second line",
    "city": "city",
    "state": "state",
    "postcode": "postcode",
    "country": "country",
}
_FIELDS_PAGE = "Audience, Settings, Audience fields and *|MERGE|* tags"


def explain_left_out(left_out: LeftOut) -> Explanation:
    """The words for one value."""
    name = _FIELDS[left_out.tag]
    match left_out.code:
        case "cut":
            what = f"the {_listed(left_out.details)} of the {name}" if left_out.details else f"the {name}"
            return Explanation(
                f"Mailchimp holds at most 255 bytes of a text, so the end of {what} is cut off.",
                f"Shorten {what} in PracBill.",
            )
        case "address_incomplete":
            return Explanation(
                f"The postal address has no {_listed(left_out.details)}, so it is left out.",
                "Complete the address in PracBill.",
            )
        case "country_unknown":
            return Explanation(
                "The country of the postal address is not known, so the address is left out.",
                "Enter the country's English name or its two letters in PracBill, for example Australia or AU.",
            )
        case "state_missing":
            return Explanation(
                "Mailchimp does not accept this postal address without a state, so it is left out.",
                "Enter the state, province or region in PracBill.",
            )
        case "us_phone":
            return Explanation(
                "The audience's field PHONE takes only numbers of the form (123) 456-7890, so the phone number is left "
                "out.",
                f"Set the field's phone format to international in Mailchimp ({_FIELDS_PAGE}).",
            )
        case "field_unusable":
            return Explanation(
                f"The audience has no field {left_out.tag} of the right type, so the {name} is left out.",
                f"Fix the field in Mailchimp ({_FIELDS_PAGE}); the health of the connection says how.",
            )
        case _:
            quoted = f" Mailchimp says: {left_out.details[0].rstrip('.')}." if left_out.details else ""
            return Explanation(
                f"Mailchimp does not accept the {name}, so it is left out.{quoted}", f"Correct the {name} in PracBill."
            )


def explain_partly_sent(left_out: Sequence[LeftOut]) -> Explanation:
    """The words for all values of one customer together."""
    words = [explain_left_out(one) for one in left_out]
    causes, fixes = dict.fromkeys(one.cause for one in words), dict.fromkeys(one.fix for one in words)
    return Explanation(f"Partly sent: {' '.join(causes)}", " ".join(fixes))


def _listed(parts: Sequence[str]) -> str:
    names = [_PARTS.get(part, part) for part in parts]
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
