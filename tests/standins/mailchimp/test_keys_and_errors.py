"""Keys, the root, and the form of errors (fact sheet sections 1 and 2)."""

from __future__ import annotations

import base64

import pytest
import requests

from infra.standins.mailchimp import MailchimpStandIn

from .conftest import Home, settle

ERRORS_URL = "https://mailchimp.com/developer/marketing/docs/errors/"


def test_ping_is_chimpy(home: Home) -> None:
    response = home.api.get("/ping")
    assert response.status_code == 200
    assert response.json() == {"health_status": "Everything's Chimpy!"}


def test_the_root_names_the_account_and_the_users_role(home: Home) -> None:
    root = home.api.get("/").json()
    assert root["account_id"] == home.account_id
    assert root["role"] == "owner"
    assert root["pricing_plan_type"] == "monthly"
    assert set(root["contact"]) == {"company", "addr1", "addr2", "city", "state", "zip", "country"}


def test_the_root_counts_the_subscribers_of_all_audiences(home: Home) -> None:
    home.add("ann@clinic.test")
    home.add("bob@clinic.test", "unsubscribed")
    assert home.api.get("/").json()["total_subscribers"] == 1


def test_the_root_without_its_slash_redirects(home: Home) -> None:
    response = requests.get(home.api.url, auth=("x", home.api.key), allow_redirects=False, timeout=60)
    assert response.status_code == 301
    assert response.headers["Location"] == "/3.0/"


@pytest.mark.parametrize("scheme", ["Bearer", "apikey", "OAuth"])
def test_the_key_may_come_as_a_token(home: Home, scheme: str) -> None:
    response = requests.get(home.api.url + "/ping", headers={"Authorization": f"{scheme} {home.api.key}"}, timeout=60)
    assert response.status_code == 200


def test_no_key_is_answered_with_its_own_title(home: Home) -> None:
    response = requests.get(home.api.url + "/ping", timeout=60)
    assert response.status_code == 401
    assert response.json()["title"] == "API Key Missing"
    assert response.json()["detail"] == "Your request did not include an API key."


@pytest.mark.parametrize("key", ["f" * 32 + "-us21", "f" * 32, "nonsense", ""])
def test_an_unknown_key_is_invalid(home: Home, key: str) -> None:
    response = requests.get(home.api.url + "/ping", auth=("x", key), timeout=60)
    assert response.status_code == 401
    assert response.json()["title"] == "API Key Invalid"
    assert (
        response.json()["detail"] == "Your API key may be invalid, or you've attempted to access the wrong datacenter."
    )


def test_basic_text_that_is_not_base64_is_an_invalid_key(home: Home) -> None:
    response = requests.get(home.api.url + "/ping", headers={"Authorization": "Basic ***"}, timeout=60)
    assert response.json()["title"] == "API Key Invalid"


def test_any_user_name_goes_with_the_key(home: Home) -> None:
    token = base64.b64encode(f"who-ever:{home.api.key}".encode()).decode()
    response = requests.get(home.api.url + "/ping", headers={"Authorization": f"Basic {token}"}, timeout=60)
    assert response.status_code == 200


def test_a_revoked_key_is_invalid(home: Home) -> None:
    home.control.revoke_key(home.api.key)
    assert home.api.get("/ping").json()["title"] == "API Key Invalid"


def test_a_key_of_another_data_centre_is_told_the_right_one(standin: MailchimpStandIn) -> None:
    home = settle(standin, datacenter="us6")
    home.api.key = home.api.key.replace("-us6", "-us7")
    response = home.api.get("/ping")
    assert response.status_code == 403
    assert response.json()["title"] == "Forbidden"
    assert response.json()["detail"] == "The API key provided is linked to datacenter 'us6'"


def test_a_deactivated_account_is_disabled_until_it_is_back(home: Home) -> None:
    home.control.deactivate_account(home.account_id)
    response = home.api.get("/ping")
    assert (response.status_code, response.json()["title"]) == (403, "User Disabled")
    assert response.json()["detail"] == "This account has been deactivated."
    home.control.reactivate_account(home.account_id)
    assert home.api.get("/ping").status_code == 200


def test_a_viewer_may_read_but_not_write(home: Home) -> None:
    home.control.set_role(home.api.key, "viewer")
    assert home.api.get("/lists").status_code == 200
    response = home.bulk({"email_address": "ann@clinic.test", "status": "subscribed"})
    assert (response.status_code, response.json()["title"]) == (403, "User action not permitted")
    assert response.json()["detail"] == "User does not have access to the requested operation"


def test_an_error_is_a_problem_document_whose_instance_is_the_request_id(home: Home) -> None:
    response = home.api.get("/lists/0000000000")
    problem = response.json()
    assert response.headers["Content-Type"] == "application/problem+json; charset=utf-8"
    assert 'rel="describedBy"' in response.headers["Link"]
    assert problem.pop("instance") == response.headers["X-Request-Id"]
    assert problem == {
        "type": ERRORS_URL,
        "title": "Resource Not Found",
        "status": 404,
        "detail": "The requested resource could not be found.",
    }


def test_answers_carry_no_rate_limit_headers(home: Home) -> None:
    names = {name.lower() for name in home.api.get("/ping").headers}
    assert not [name for name in names if "rate" in name or "retry" in name]


def test_an_audience_of_another_account_is_not_found(home: Home, standin: MailchimpStandIn) -> None:
    assert settle(standin).api.get(home.path).status_code == 404


def test_a_wrong_verb_is_told_the_allowed_ones(home: Home) -> None:
    response = home.api.call("PATCH", f"{home.path}/members")
    assert response.status_code == 405
    assert response.json()["detail"] == (
        "The requested method and resource are not compatible. "
        "See the Allow header for this resource's available methods."
    )
    assert response.headers["Allow"] == "GET, POST"


def test_an_unknown_path_is_not_found(home: Home) -> None:
    assert home.api.get("/no-such-thing").json()["title"] == "Resource Not Found"


def test_a_path_that_is_too_deep_says_so(home: Home) -> None:
    response = home.api.get("/a/b/c/d/e/f/g/h/i/j")
    assert (response.status_code, response.json()["title"]) == (414, "Resource Nesting Too Deep")


def test_a_body_that_is_not_json_is_a_parse_exception(home: Home) -> None:
    response = requests.post(home.api.url + home.path, data="{oops", auth=("x", home.api.key), timeout=60)
    assert (response.status_code, response.json()["title"]) == (400, "JSON Parse Exception")


def test_a_body_that_is_no_object_fails_the_schema(home: Home) -> None:
    response = home.api.post(home.path, [1])
    assert response.status_code == 400
    assert response.json()["errors"][0]["message"] == "Schema describes object, array found instead"


def test_the_method_may_be_overridden_on_post_only(home: Home) -> None:
    home.add("ann@clinic.test")
    url, auth = home.api.url + home.member_path("ann@clinic.test"), ("x", home.api.key)
    headers = {"X-HTTP-Method-Override": "PATCH"}
    changed = requests.post(url, json={"vip": True}, headers=headers, auth=auth, timeout=60)
    assert changed.json()["vip"] is True
    refused = requests.put(url, json={"vip": False}, headers=headers, auth=auth, timeout=60)
    assert (refused.status_code, refused.json()["title"]) == (422, "InvalidMethodOverride")


@pytest.mark.parametrize(
    ("name", "status", "title"),
    [
        ("APIKeyInvalid", 401, "API Key Invalid"),
        ("TooManyRequests", 429, "Too Many Requests"),
        ("InternalServerError", 500, "Internal Server Error"),
        ("UserDisabled", 403, "User Disabled"),
    ],
)
def test_an_error_can_be_triggered_by_header(home: Home, name: str, status: int, title: str) -> None:
    response = requests.get(
        home.api.url + "/ping", headers={"X-Trigger-Error": name}, auth=("x", home.api.key), timeout=60
    )
    assert (response.status_code, response.json()["title"]) == (status, title)


def test_a_body_without_a_length_is_refused_by_the_edge(home: Home) -> None:
    chunks = iter([b"{}"])
    response = requests.post(home.api.url + home.path, data=chunks, auth=("x", home.api.key), timeout=60)
    assert response.status_code == 411
    assert "json" not in response.headers["Content-Type"]
