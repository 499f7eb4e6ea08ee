"""Words from which customers are made. People and companies are invented; places are real, so postcodes fit them."""

from __future__ import annotations


def _listed(text: str, separator: str | None = None) -> tuple[str, ...]:
    return tuple(text.split(separator))


FIRST_NAMES = _listed(
    "Ava Noah Mia Oliver Isla Jack Grace William Amelia Leo Charlotte Henry Ella Thomas Ruby Lucas Zoe Ethan Chloe "
    "James Sophie Hamish Matilda Lachlan Priya Arjun Mei Wei Linh Minh Fatima Omar Aisha Yusuf Elena Marco Giulia "
    "Stavros Eleni Tane Aroha Bronte Callum Imogen Angus Poppy Xavier Freya Darcy Willow"
)

LAST_NAMES = _listed(
    "Smith Jones Williams Brown Wilson Taylor Nguyen Tran Singh Kaur Patel Kim Lee Chen Wang Papadopoulos Rossi "
    "Romano Murphy Kelly Walsh Campbell Stewart Robertson Hughes Edwards Cooper Ward Bailey Fraser Hassan Ali "
    "Abdi Costa Silva Novak Kowalski Petrov Andersen Larsen Mackenzie Doyle Burke Foster Reid Hunt Marsh Pratt "
    "Wallace Yates"
)

COMPANY_WORDS = _listed(
    "Acacia Banksia Bluegum Bayside Brunswick Coburg Corella Currawong Darebin Fairfield Harbour Ironbark Jarrah "
    "Kestrel Lorikeet Magpie Merri Moreland Northside Ovens Pelican Preston Quoll Redgum Rosella Saltbush Sandpiper "
    "Southbank Tallow Thornbury Waratah Wattle Westgate Yarra Yarrow"
)

COMPANY_TRADES = _listed(
    "Plumbing;Electrical;Physiotherapy;Dental;Architects;Legal;Bookkeeping;Joinery;Landscapes;Veterinary;Optometry;"
    "Catering;Motors;Flooring;Podiatry;Consulting;Engineering;Surveyors;Printing;Early Learning",
    ";",
)

COMPANY_FORMS = ("Pty Ltd", "Pty Ltd", "Pty Ltd", "& Co", "Partners", "Group", "Trust", "Inc")

STREETS = _listed(
    "High St;Sydney Rd;Station St;Church St;Bell St;Victoria Pde;Gilbert Rd;St Georges Rd;Nicholson St;Lygon St;"
    "Murray Rd;Separation St;Queens Pde;Elizabeth St;Plenty Rd;Albion St;Barkly Sq;Hope St",
    ";",
)

# city, state, postcode
PLACES = (
    ("Preston", "VIC", "3072"),
    ("Coburg", "VIC", "3058"),
    ("Brunswick", "VIC", "3056"),
    ("Northcote", "VIC", "3070"),
    ("Thornbury", "VIC", "3071"),
    ("Reservoir", "VIC", "3073"),
    ("Fitzroy", "VIC", "3065"),
    ("Melbourne", "VIC", "3000"),
    ("Geelong", "VIC", "3220"),
    ("Ballarat Central", "VIC", "3350"),
    ("Bendigo", "VIC", "3550"),
    ("Sydney", "NSW", "2000"),
    ("Albury", "NSW", "2640"),
    ("Brisbane City", "QLD", "4000"),
    ("Adelaide", "SA", "5000"),
    ("Hobart", "TAS", "7000"),
    ("Perth", "WA", "6000"),
    ("Canberra", "ACT", "2601"),
)

# Postcodes below 1000 lose their zero wherever they pass through a number.
LEADING_ZERO_PLACES = (
    ("Darwin City", "NT", "0800"),
    ("Alice Springs", "NT", "0870"),
    ("Katherine", "NT", "0850"),
    ("Canberra", "ACT", "0200"),
)

# city, state, postcode, country as PracBill's users have typed it
FOREIGN_PLACES = (
    ("Auckland", "", "1010", "NZ"),
    ("Wellington", "Wellington", "6011", "New Zealand"),
    ("London", "", "SW1A 1AA", "GB"),
    ("Boston", "MA", "02110", "us"),
    ("München", "Bayern", "80331", "DE"),
    ("Singapore", "", "018956", "Singapore"),
)

MAIL_DOMAINS = (
    "bayside-mail.test",
    "merri-net.test",
    "northmail.test",
    "yarra-post.test",
    "outlook-like.test",
    "fastpost.test",
)

# Domains that Mailchimp calls fake although the address is well formed.
FAKE_DOMAINS = ("example.com", "gmail.con")

# Each breaks the syntax in one way; {} is the part that keeps them apart.
MALFORMED_ADDRESSES = {
    "email_without_at": "reception.{}.clinic.test",
    "email_with_two_ats": "info@{}@clinic.test",
    "email_with_space_inside": "front desk {}@clinic.test",
    "email_with_trailing_dot": "hello.{}@clinic.test.",
    "email_with_double_dot": "accounts..{}@clinic.test",
    "email_with_comma": "front,desk.{}@clinic.test",
    "email_of_two_addresses": "a.{}@clinic.test, b@clinic.test",
}

# first name, last name, company
UNICODE_NAMES = {
    "name_with_umlauts": (
        ("Jürgen", "Müller-Weiß", "Bäckerei Grünwald"),
        ("Zoë", "Łukasiewicz", "Café Señorita"),
        ("Søren", "Ångström", "Ægir Þór & Søn"),
        ("Siobhán", "O’Brien", "Crêperie Déjà Vu"),
    ),
    "name_in_cjk": (("小明", "王", "北方牙科诊所"), ("美咲", "佐藤", "さくら歯科"), ("민준", "김", "서울 한의원")),
    "name_in_arabic": (("فاطمة", "الحسن", "عيادة النور"), ("יעל", "כהן", "מרפאת השלום")),
    "name_with_emoji": (("Daisy 🌼", "Field", "Happy Paws 🐾 Vet"), ("Rui", "👨‍👩‍👧 Family", "Sunrise ☀️ Yoga")),
    "name_with_combining_marks": (
        ("Rene\u0301", "Nu\u0303n\u0303ez", "Cafe\u0301 Andre\u0301"),
        ("A\u030asa", "Bjo\u0308rk", "O\u0308stra Klinik"),
    ),
}

# Company names whose 255th byte falls inside a character or between a letter and its accent.
LONG_NAMES = (
    "a" * 254 + "é and Daughters",
    "ab" + "診" * 90,
    "ab" + "🐾" * 70,
    "a" + "e\u0301" * 100,
    "Trustee for the " + "Very Long Family Name " * 20 + "Superannuation Fund",
)

STATUSES = (("Active", 70), ("Inactive", 10), ("Prospect", 12), ("On hold", 8))
CUSTOMER_TYPES = (("Business", 45), ("Individual", 40), ("Trust", 8), ("Not-for-profit", 7))

ODD_LABELS = (
    ("ACTIVE", "business"),
    (" active ", "Business "),
    ("Active", " INDIVIDUAL"),
    ("", ""),
    (None, None),
    ("Debt collection / do not call", "Other (see notes)"),
    ("prospect", "trust"),
)
