"""Browsers of other origins: preflights are answered by Hearth, answers get their headers."""

import pytest

import function_url

ECHO = "def handler(event, context):\n    return {'statusCode': 200, 'body': 'called', 'headers': {'X-Mine': '1'}}\n"
CORS = {
    "AllowOrigins": ["https://example.com", "http://localhost:8080"],
    "AllowMethods": ["GET", "PUT"],
    "AllowHeaders": ["Authorization", "x-custom"],
    "ExposeHeaders": ["x-mine", "date"],
    "MaxAge": 600,
    "AllowCredentials": True,
}


def cors_of(answer):
    return {
        name.lower(): value
        for name, value in answer.headers.items()
        if name.lower().startswith("access-control-") or name.lower() == "vary"
    }


def preflight(url, origin="https://example.com", method="GET", headers="authorization"):
    asked = {"Origin": origin, "Access-Control-Request-Method": method}
    if headers:
        asked["Access-Control-Request-Headers"] = headers
    return url.call("/", "OPTIONS", headers=asked)


@pytest.fixture
def url(serve):
    return serve(ECHO, url={"Cors": CORS})


def test_a_preflight_is_answered_without_the_function(url):
    answer = preflight(url)
    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["X-Mine"] is None
    assert cors_of(answer) == {
        "access-control-allow-origin": "https://example.com",
        "access-control-allow-headers": "Authorization,x-custom",
        "access-control-allow-methods": "GET,PUT",
        "access-control-allow-credentials": "true",
        "access-control-max-age": "600",
        "vary": "Origin",
    }


@pytest.mark.parametrize(
    "asked",
    [
        {"origin": "https://evil.example"},
        {"origin": "https://example.com.evil.example"},
        {"origin": "null"},
        {"method": "DELETE"},
        {"headers": "authorization,x-other"},
    ],
)
def test_what_is_not_allowed_gets_no_permission(url, asked):
    answer = preflight(url, **asked)
    assert answer.status == 200
    assert cors_of(answer) == {}


def test_answers_have_the_headers_of_their_origin(url):
    answer = url.call(headers={"Origin": "http://localhost:8080"})
    assert answer.body == b"called"
    assert cors_of(answer) == {
        "access-control-allow-origin": "http://localhost:8080",
        "access-control-allow-credentials": "true",
        "access-control-expose-headers": "x-mine,date",
        "vary": "Origin",
    }
    assert cors_of(url.call()) == {}
    # The function is called all the same: CORS protects browsers' users, not functions.
    stranger = url.call(headers={"Origin": "https://evil.example"})
    assert (stranger.body, cors_of(stranger)) == (b"called", {})


def test_wildcards(serve):
    url = serve(ECHO, url={"Cors": {"AllowOrigins": ["*"], "AllowMethods": ["*"], "AllowHeaders": ["*"]}})
    assert cors_of(preflight(url, "https://any.example", "PATCH", "x-one,x-two")) == {
        "access-control-allow-origin": "*",
        "access-control-allow-headers": "x-one,x-two",
        "access-control-allow-methods": "PATCH",
    }
    assert cors_of(url.call(headers={"Origin": "https://any.example"})) == {"access-control-allow-origin": "*"}


def test_a_function_that_sets_them_too_makes_them_twice(serve):
    url = serve(
        "def handler(event, context):\n"
        "    return {'statusCode': 200, 'headers': {'Access-Control-Allow-Origin': '*'}}\n",
        url={"Cors": {"AllowOrigins": ["https://example.com"]}},
    )
    answer = url.call(headers={"Origin": "https://example.com"})
    assert answer.headers.get_all("Access-Control-Allow-Origin") == ["*", "https://example.com"]


def test_without_settings_the_function_answers_preflights(serve):
    url = serve(ECHO)
    answer = preflight(url)
    assert (answer.body, answer.headers["X-Mine"]) == (b"called", "1")
    assert cors_of(answer) == {}


def test_a_preflight_needs_no_signature_and_a_refusal_can_be_read(hearth, client, deploy):
    function = deploy(ECHO)
    url = function_url.create(hearth, client, function.name, "AWS_IAM", Cors=CORS)
    assert cors_of(preflight(url))["access-control-allow-origin"] == "https://example.com"
    refused = url.call(headers={"Origin": "https://example.com"})
    assert refused.status == 403
    assert cors_of(refused)["access-control-allow-origin"] == "https://example.com"
