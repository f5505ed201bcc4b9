"""Buckets as web sites: what a browser gets. Paths below /_hearth/s3-website, and by host name."""

import http.client
import urllib.parse

import pytest

PAGES = {
    "index.html": b"<h1>home</h1>",
    "docs/index.html": b"<h1>docs</h1>",
    "error.html": b"<h1>oh</h1>",
    "a b.txt": b"text",
}


@pytest.fixture
def site(s3, bucket):
    for key, body in PAGES.items():
        s3.put_object(Bucket=bucket, Key=key, Body=body, ContentType="text/html")
    s3.put_bucket_website(
        Bucket=bucket,
        WebsiteConfiguration={
            "IndexDocument": {"Suffix": "index.html"},
            "RoutingRules": [
                {
                    "Condition": {"KeyPrefixEquals": "old/"},
                    "Redirect": {"ReplaceKeyPrefixWith": "docs/", "HttpRedirectCode": "302"},
                },
                {
                    "Condition": {
                        "KeyPrefixEquals": "gone/",
                        "HttpErrorCodeReturnedEquals": "404",
                    },
                    "Redirect": {"HostName": "elsewhere.example", "Protocol": "https"},
                },
            ],
        },
    )
    return bucket


def get(hearth, bucket, path, method="GET", headers=None):
    address = urllib.parse.urlsplit(hearth.endpoint)
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=60)
    connection.request(
        method,
        path,
        headers={"Host": f"{bucket}.s3-website.us-east-1.localhost"} | (headers or {}),
    )
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, dict(answer.getheaders()), body


def test_pages(hearth, site):
    status, headers, body = get(hearth, site, "/")
    assert (status, body) == (200, PAGES["index.html"])
    assert headers["Content-Type"] == "text/html"
    assert headers["Content-Length"] == str(len(body))
    assert get(hearth, site, "/docs/")[2] == PAGES["docs/index.html"]
    assert get(hearth, site, "/a%20b.txt")[2] == b"text"


def test_pages_below_a_path(hearth, site):
    with hearth.get(f"/_hearth/s3-website/{site}/docs/") as answer:
        assert answer.read() == PAGES["docs/index.html"]
        # It has the origin of Hearth's API and must not be able to use it.
        assert answer.headers["Content-Security-Policy"].startswith("sandbox ")


def test_head_and_conditions(hearth, site):
    status, headers, body = get(hearth, site, "/", "HEAD")
    assert (status, body, headers["Content-Length"]) == (200, b"", "13")
    status, _, body = get(hearth, site, "/", headers={"If-None-Match": headers["ETag"]})
    assert (status, body) == (304, b"")
    status, headers, body = get(hearth, site, "/", headers={"Range": "bytes=1-2"})
    assert (status, body, headers["Content-Range"]) == (206, b"h1", "bytes 1-2/13")


def test_a_folder_without_its_slash_is_sent_to_it(hearth, site):
    status, headers, _ = get(hearth, site, "/docs")
    assert (status, headers["Location"]) == (302, "/docs/")


def test_routing_rules(hearth, site):
    status, headers, _ = get(hearth, site, "/old/x")
    assert status == 302
    assert headers["Location"] == f"http://{site}.s3-website.us-east-1.localhost/docs/x"
    status, headers, _ = get(hearth, site, "/gone/x")
    assert (status, headers["Location"]) == (301, "https://elsewhere.example/gone/x")


def test_what_is_missing_has_s3s_page(hearth, site):
    status, headers, body = get(hearth, site, "/none<b>")
    assert status == 404
    assert headers["Content-Type"].startswith("text/html")
    assert b"<li>Code: NoSuchKey</li>" in body
    assert b"<li>Key: none&lt;b&gt;</li>" in body


def test_what_is_missing_has_the_sites_page(hearth, s3, site):
    s3.put_bucket_website(
        Bucket=site,
        WebsiteConfiguration={
            "IndexDocument": {"Suffix": "index.html"},
            "ErrorDocument": {"Key": "error.html"},
        },
    )
    status, _, body = get(hearth, site, "/none")
    assert (status, body) == (404, PAGES["error.html"])


def test_an_object_may_redirect(hearth, s3, site):
    s3.put_object(Bucket=site, Key="moved", Body=b"", WebsiteRedirectLocation="/docs/")
    status, headers, _ = get(hearth, site, "/moved")
    assert (status, headers["Location"]) == (301, "/docs/")


def test_everything_may_redirect(hearth, s3, site):
    s3.put_bucket_website(
        Bucket=site,
        WebsiteConfiguration={
            "RedirectAllRequestsTo": {"HostName": "new.example", "Protocol": "https"}
        },
    )
    status, headers, _ = get(hearth, site, "/x/y?z=1")
    assert (status, headers["Location"]) == (301, "https://new.example/x/y?z=1")


def test_sites_are_only_read(hearth, site):
    assert get(hearth, site, "/", "POST")[0] == 405


def test_what_is_no_site(hearth, bucket):
    status, _, body = get(hearth, bucket, "/")
    assert status == 404
    assert b"<li>Code: NoSuchWebsiteConfiguration</li>" in body
    status, _, body = get(hearth, "no-such-bucket", "/")
    assert status == 404
    assert b"<li>Code: NoSuchBucket</li>" in body
