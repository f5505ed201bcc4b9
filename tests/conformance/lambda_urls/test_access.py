"""Who may call a function URL."""

import socket

import pytest

import function_url

WHO = "def handler(event, context):\n    return event['requestContext']\n"
FORBIDDEN = {
    "Message": "Forbidden. For troubleshooting Function URL authorization issues, see: "
    "https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html"
}


def assert_forbidden(answer):
    assert (answer.status, answer.json()) == (403, FORBIDDEN)
    assert answer.headers["x-amzn-ErrorType"] == "AccessDeniedException"
    assert answer.headers["x-amzn-RequestId"]


def test_a_public_url_needs_both_statements(hearth, client, deploy):
    function = deploy(WHO)
    url = function_url.create(hearth, client, function.name)
    assert_forbidden(url.call())
    function_url.allow(client, function.name, "lambda:InvokeFunctionUrl", {"FunctionUrlAuthType": "NONE"})
    assert_forbidden(url.call())
    function_url.allow(client, function.name, "lambda:InvokeFunction", {"InvokedViaFunctionUrl": True})
    answer = url.call()
    assert (answer.status, answer.json()["accountId"]) == (200, "anonymous")
    assert "authorizer" not in answer.json()
    client.remove_permission(FunctionName=function.name, StatementId="InvokeFunctionUrl")
    assert_forbidden(url.call())


def test_statements_for_others_do_not_open_it(hearth, client, deploy):
    function = deploy(WHO)
    url = function_url.create(hearth, client, function.name)
    allow = function_url.allow
    allow(client, function.name, "lambda:InvokeFunction", {"InvokedViaFunctionUrl": True})
    allow(client, function.name, "lambda:InvokeFunctionUrl", {"FunctionUrlAuthType": "AWS_IAM"}, statement="iam")
    assert_forbidden(url.call())
    allow(
        client, function.name, "lambda:InvokeFunctionUrl", {"FunctionUrlAuthType": "NONE"},
        principal="111122223333", statement="account",
    )
    assert_forbidden(url.call())
    # A URL for the signed is not opened by what opens the others.
    allow(client, function.name, "lambda:InvokeFunctionUrl", {"FunctionUrlAuthType": "NONE"}, statement="all")
    assert url.call().status == 200
    client.update_function_url_config(FunctionName=function.name, AuthType="AWS_IAM")
    assert_forbidden(url.call())


def test_the_url_does_not_open_the_api(hearth, client, deploy):
    function = deploy(WHO)
    function_url.public(hearth, client, function.name)
    other = hearth.client("lambda", "111122223333", "any")
    with pytest.raises(other.exceptions.ClientError) as caught:
        other.invoke(FunctionName=f"arn:aws:lambda:us-east-1:000000000000:function:{function.name}")
    assert caught.value.response["Error"]["Code"] == "AccessDeniedException"


@pytest.mark.parametrize("by_path", [False, True])
def test_signed_calls_of_the_own_account(hearth, client, deploy, by_path):
    function = deploy(WHO)
    url = function_url.create(hearth, client, function.name, "AWS_IAM")
    key, secret = hearth.root_key()
    answer = url.signed(key, secret, "/a%20b?x=1&y=2", "POST", b"body", by_path=by_path)
    assert answer.status == 200, answer.body
    context = answer.json()
    assert context["accountId"] == "000000000000"
    assert context["authorizer"] == {
        "iam": {
            "accessKey": key,
            "accountId": "000000000000",
            "callerId": "000000000000",
            "cognitoIdentity": None,
            "principalOrgId": None,
            "userArn": "arn:aws:iam::000000000000:root",
            "userId": "000000000000",
        }
    }
    assert context["http"]["path"] == "/a%20b"


def test_signatures_that_do_not_hold(hearth, client, deploy):
    function = deploy(WHO)
    url = function_url.create(hearth, client, function.name, "AWS_IAM")
    key, secret = hearth.root_key()
    assert_forbidden(url.call())
    wrong = url.signed(key, "not the secret")
    assert wrong.status == 403
    assert wrong.headers["x-amzn-ErrorType"] == "InvalidSignatureException"
    assert wrong.json()["Message"].startswith("The request signature we calculated does not match")
    elsewhere = url.signed(key, secret, region="eu-west-1")
    assert (elsewhere.status, elsewhere.headers["x-amzn-ErrorType"]) == (403, "InvalidSignatureException")
    broken = url.call(headers={"Authorization": "AWS4-HMAC-SHA256 nonsense"})
    assert broken.status in (400, 403)
    assert "Message" in broken.json()
    foreign_scheme = url.call(headers={"Authorization": "Bearer token"})
    assert foreign_scheme.status in (400, 403)


def test_a_public_url_leaves_the_authorization_header_to_the_function(serve):
    url = serve("def handler(event, context):\n    return event['headers']['authorization']\n")
    for value in ("Bearer abc", "AWS4-HMAC-SHA256 nonsense"):
        answer = url.call(headers={"Authorization": value})
        assert (answer.status, answer.body.decode()) == (200, value)


def test_callers_of_other_accounts_need_both_statements(hearth, client, deploy):
    function = deploy(WHO)
    url = function_url.create(hearth, client, function.name, "AWS_IAM")
    caller = ("111122223333", "any")
    assert_forbidden(url.signed(*caller))
    function_url.allow(
        client, function.name, "lambda:InvokeFunctionUrl", {"FunctionUrlAuthType": "AWS_IAM"}, principal=caller[0]
    )
    assert_forbidden(url.signed(*caller))
    function_url.allow(
        client, function.name, "lambda:InvokeFunction", {"InvokedViaFunctionUrl": True}, principal=caller[0]
    )
    answer = url.signed(*caller)
    assert answer.status == 200, answer.body
    assert answer.json()["authorizer"]["iam"]["accountId"] == caller[0]
    assert_forbidden(url.signed("444455556666", "any"))


def test_roles_and_users_sign_with_their_keys(hearth, client, deploy, unique):
    function = deploy(WHO)
    url = function_url.create(hearth, client, function.name, "AWS_IAM")
    iam = hearth.client("iam")
    user = unique("caller")
    iam.create_user(UserName=user)
    key = iam.create_access_key(UserName=user)["AccessKey"]
    seen = url.signed(key["AccessKeyId"], key["SecretAccessKey"])
    assert seen.json()["authorizer"]["iam"]["userArn"] == f"arn:aws:iam::000000000000:user/{user}"
    wrong = url.signed(key["AccessKeyId"], "wrong")
    assert (wrong.status, wrong.headers["x-amzn-ErrorType"]) == (403, "InvalidSignatureException")
    iam.delete_access_key(UserName=user, AccessKeyId=key["AccessKeyId"])
    iam.delete_user(UserName=user)


def test_nobodys_url(hearth):
    nobodys = function_url.Url(hearth, f"http://{'a' * 32}.lambda-url.us-east-1.localhost:{hearth.port}/")
    for answer in (nobodys.call(), nobodys.call(by_path=True)):
        assert (answer.status, answer.body) == (403, b'{"Message":null}')
        assert answer.headers["x-amzn-ErrorType"] == "AccessDeniedException"


def test_a_url_exists_in_its_region_alone(hearth, serve):
    url = serve(WHO)
    assert url.call(headers={"Host": f"{url.id}.lambda-url.us-east-1"}).status == 200
    for region in ("us-east-2", "us-east-1x", "us-east", "localhost"):
        answer = url.call(headers={"Host": f"{url.id}.lambda-url.{region}.localhost"})
        assert (answer.status, answer.body) == (403, b'{"Message":null}'), region


@pytest.mark.parametrize(
    "host",
    ["x.lambda-url.y", ".lambda-url.y", "a.b.lambda-url.us-east-1.localhost", "x" * 250 + ".lambda-url.y",
     "%00.lambda-url.z", "lambda-url.us-east-1.localhost", "xn--.lambda-url.", "\xe9.lambda-url.localhost"],
)
def test_odd_hosts_reach_nobody(hearth, host):
    with socket.create_connection(("127.0.0.1", hearth.port), 120) as peer:
        peer.sendall(b"GET / HTTP/1.1\r\nHost: " + host.encode("latin-1") + b"\r\nConnection: close\r\n\r\n")
        answer = b""
        while piece := peer.recv(65536):
            answer += piece
    # No function: an error, or what S3 says of `/` to whoever asks by another name.
    assert answer.split(b" ")[1] in (b"400", b"403", b"404") or b"<ListAllMyBucketsResult" in answer, answer


def test_pages_of_other_origins_may_call_a_url_but_not_the_api(hearth, serve):
    url = serve(WHO)
    for origin in ("https://evil.example", "null", "http://localhost:3000"):
        assert url.call(headers={"Origin": origin}).status == 200
    # A page that a function serves is a stranger to the API, although its name ends in .localhost.
    for origin, status in (
        (f"http://{url.host}", 403),
        (f"http://{url.host.upper()}", 403),
        ("http://app.localhost:3000", 200),
    ):
        connection = url.connection()
        connection.request(
            "POST", "/", "Action=GetCallerIdentity&Version=2011-06-15",
            {"Content-Type": "application/x-www-form-urlencoded", "Origin": origin},
        )
        assert function_url.Answer(connection.getresponse()).status == status, origin


def test_a_function_calls_the_url_of_another(hearth, client, deploy, serve):
    url = serve(WHO)
    signed = function_url.create(hearth, client, deploy(WHO).name, "AWS_IAM")
    caller = deploy(
        "import http.client, json, os, urllib.parse\n"
        "import botocore.auth, botocore.awsrequest, botocore.session\n"
        "def call(id, host, path, signed):\n"
        "    endpoint = urllib.parse.urlsplit(os.environ['AWS_ENDPOINT_URL'])\n"
        "    headers = {'Host': host}\n"
        "    if signed:\n"
        "        request = botocore.awsrequest.AWSRequest('GET', f'http://{host}{path}', headers=headers)\n"
        "        credentials = botocore.session.get_session().get_credentials()\n"
        "        botocore.auth.SigV4Auth(credentials, 'lambda', os.environ['AWS_REGION']).add_auth(request)\n"
        "        headers = dict(request.headers.items())\n"
        "    connection = http.client.HTTPConnection(endpoint.hostname, endpoint.port)\n"
        "    connection.request('GET', path, headers=headers)\n"
        "    answer = connection.getresponse()\n"
        "    return [answer.status, json.loads(answer.read())]\n"
        "def handler(event, context):\n"
        "    return call(**event)\n"
    )
    status, context = caller.invoke({"id": url.id, "host": url.host, "path": "/in?a=b", "signed": False}).json()
    assert (status, context["accountId"], context["http"]["path"]) == (200, "anonymous", "/in")
    status, context = caller.invoke({"id": signed.id, "host": signed.host, "path": "/", "signed": True}).json()
    assert status == 200, context
    assert context["authorizer"]["iam"]["userArn"].startswith("arn:aws:sts::000000000000:assumed-role/")
    status, refused = caller.invoke({"id": signed.id, "host": signed.host, "path": "/", "signed": False}).json()
    assert (status, refused) == (403, FORBIDDEN)


def test_who_may_not_call_is_not_asked_for_a_body(hearth, client, deploy):
    url = function_url.create(hearth, client, deploy(WHO).name)
    with socket.create_connection(("127.0.0.1", hearth.port), 120) as peer:
        peer.sendall(
            f"POST / HTTP/1.1\r\nHost: {url.host}\r\nContent-Length: 1000000\r\nExpect: 100-continue\r\n\r\n".encode()
        )
        assert peer.recv(65536).startswith(b"HTTP/1.1 403 ")
