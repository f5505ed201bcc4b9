"""Policies, the block on public access, ownership and access control lists.

Policies and lists are kept and judged for being public; nobody is kept out by them yet, and answers
say so (x-hearth-not-enforced).
"""

import json

import pytest
from s3_control_support import refused

ALL_USERS = "http://acs.amazonaws.com/groups/global/AllUsers"


def policy(bucket, principal="*", **more):
    statement = {
        "Effect": "Allow",
        "Principal": principal,
        "Action": "s3:GetObject",
        "Resource": f"arn:aws:s3:::{bucket}/*",
    }
    statement.update(more)
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@pytest.fixture
def open_bucket(s3, bucket):
    """A bucket whose owner wants access control lists, public ones too."""
    s3.delete_public_access_block(Bucket=bucket)
    s3.put_bucket_ownership_controls(
        Bucket=bucket, OwnershipControls={"Rules": [{"ObjectOwnership": "ObjectWriter"}]}
    )
    return bucket


def test_policy_comes_and_goes(s3, bucket):
    with refused("NoSuchBucketPolicy", 404, "The bucket policy does not exist"):
        s3.get_bucket_policy(Bucket=bucket)
    text = policy(bucket, {"AWS": "arn:aws:iam::111122223333:root"})
    put = s3.put_bucket_policy(Bucket=bucket, Policy=text)
    assert put["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert put["ResponseMetadata"]["HTTPHeaders"]["x-hearth-not-enforced"] == "policy"
    assert s3.get_bucket_policy(Bucket=bucket)["Policy"] == text
    assert s3.get_bucket_policy_status(Bucket=bucket)["PolicyStatus"]["IsPublic"] is False
    s3.delete_bucket_policy(Bucket=bucket)
    s3.delete_bucket_policy(Bucket=bucket)
    with refused("NoSuchBucketPolicy"):
        s3.get_bucket_policy_status(Bucket=bucket)


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "Policies must be valid JSON and the first byte must be '{'"),
        ("random", "Policies must be valid JSON and the first byte must be '{'"),
        ("{}", "Missing required field Statement"),
    ],
)
def test_a_policy_must_be_one(s3, bucket, text, message):
    with refused("MalformedPolicy", 400, message):
        s3.put_bucket_policy(Bucket=bucket, Policy=text)


def test_a_policy_is_about_its_bucket(s3, bucket):
    with refused("MalformedPolicy", 400, "Policy has invalid resource"):
        s3.put_bucket_policy(Bucket=bucket, Policy=policy("another-bucket"))


def test_public_policies_are_blocked_unless_the_block_is_taken_away(s3, bucket):
    with refused("AccessDenied", 403) as error:
        s3.put_bucket_policy(Bucket=bucket, Policy=policy(bucket))
    assert "BlockPublicPolicy" in error.message
    s3.delete_public_access_block(Bucket=bucket)
    s3.put_bucket_policy(Bucket=bucket, Policy=policy(bucket))
    assert s3.get_bucket_policy_status(Bucket=bucket)["PolicyStatus"]["IsPublic"] is True


def test_public_access_is_blocked_by_default(s3, bucket):
    got = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
    assert got == {
        "BlockPublicAcls": True,
        "IgnorePublicAcls": True,
        "BlockPublicPolicy": True,
        "RestrictPublicBuckets": True,
    }
    s3.put_public_access_block(
        Bucket=bucket, PublicAccessBlockConfiguration={"BlockPublicAcls": True}
    )
    got = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
    assert got == {
        "BlockPublicAcls": True,
        "IgnorePublicAcls": False,
        "BlockPublicPolicy": False,
        "RestrictPublicBuckets": False,
    }
    s3.delete_public_access_block(Bucket=bucket)
    s3.delete_public_access_block(Bucket=bucket)
    with refused("NoSuchPublicAccessBlockConfiguration", 404):
        s3.get_public_access_block(Bucket=bucket)


def test_the_owner_of_the_bucket_owns_what_is_in_it_by_default(s3, bucket):
    def ownership():
        rules = s3.get_bucket_ownership_controls(Bucket=bucket)["OwnershipControls"]["Rules"]
        return [rule["ObjectOwnership"] for rule in rules]

    assert ownership() == ["BucketOwnerEnforced"]
    s3.put_bucket_ownership_controls(
        Bucket=bucket, OwnershipControls={"Rules": [{"ObjectOwnership": "BucketOwnerPreferred"}]}
    )
    assert ownership() == ["BucketOwnerPreferred"]
    s3.delete_bucket_ownership_controls(Bucket=bucket)
    with refused("OwnershipControlsNotFoundError", 404):
        s3.get_bucket_ownership_controls(Bucket=bucket)


def test_ownership_has_exactly_one_known_rule(unchecked, bucket):
    for rules in (
        [{"ObjectOwnership": "ObjectWriter"}, {"ObjectOwnership": "ObjectWriter"}],
        [{"ObjectOwnership": "Somebody"}],
    ):
        with refused("MalformedXML", 400):
            unchecked.put_bucket_ownership_controls(
                Bucket=bucket, OwnershipControls={"Rules": rules}
            )


def test_the_owner_has_full_control(s3, bucket):
    acl = s3.get_bucket_acl(Bucket=bucket)
    owner = acl["Owner"]["ID"]
    assert len(owner) == 64
    assert acl["Grants"] == [
        {"Grantee": {"ID": owner, "Type": "CanonicalUser"}, "Permission": "FULL_CONTROL"}
    ]
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    assert s3.get_object_acl(Bucket=bucket, Key="k")["Grants"] == acl["Grants"]


def test_lists_are_off_by_default(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", ACL="bucket-owner-full-control")
    message = "The bucket does not allow ACLs"
    with refused("AccessControlListNotSupported", 400, message):
        s3.put_bucket_acl(Bucket=bucket, ACL="private")
    with refused("AccessControlListNotSupported", 400, message):
        s3.put_object_acl(Bucket=bucket, Key="k", ACL="public-read")
    with refused("AccessControlListNotSupported", 400, message):
        s3.put_object(Bucket=bucket, Key="k", Body=b"x", ACL="public-read")


def test_canned_lists(s3, open_bucket):
    s3.put_bucket_acl(Bucket=open_bucket, ACL="public-read")
    acl = s3.get_bucket_acl(Bucket=open_bucket)
    assert {"Grantee": {"Type": "Group", "URI": ALL_USERS}, "Permission": "READ"} in acl["Grants"]
    s3.put_object(Bucket=open_bucket, Key="k", Body=b"x", ACL="public-read")
    acl = s3.get_object_acl(Bucket=open_bucket, Key="k")
    assert {"Grantee": {"Type": "Group", "URI": ALL_USERS}, "Permission": "READ"} in acl["Grants"]
    s3.put_object_acl(Bucket=open_bucket, Key="k", ACL="private")
    assert len(s3.get_object_acl(Bucket=open_bucket, Key="k")["Grants"]) == 1


def test_grants_in_headers_and_in_a_body(s3, open_bucket):
    other = "b" * 64
    s3.put_object(Bucket=open_bucket, Key="k", Body=b"x", GrantRead=f'id="{other}"')
    acl = s3.get_object_acl(Bucket=open_bucket, Key="k")
    assert acl["Grants"] == [
        {"Grantee": {"ID": other, "Type": "CanonicalUser"}, "Permission": "READ"}
    ]
    grants = [
        {"Grantee": {"ID": acl["Owner"]["ID"], "Type": "CanonicalUser"}, "Permission": "WRITE"},
        {"Grantee": {"URI": ALL_USERS, "Type": "Group"}, "Permission": "READ_ACP"},
    ]
    s3.put_object_acl(
        Bucket=open_bucket,
        Key="k",
        AccessControlPolicy={"Owner": {"ID": acl["Owner"]["ID"]}, "Grants": grants},
    )
    assert s3.get_object_acl(Bucket=open_bucket, Key="k")["Grants"] == grants


def test_grants_must_make_sense(s3, open_bucket):
    s3.put_object(Bucket=open_bucket, Key="k", Body=b"x")
    with refused("InvalidArgument", 400, "Argument format not recognized"):
        s3.put_object_acl(Bucket=open_bucket, Key="k", GrantRead="somebody=x")
    with refused("InvalidArgument", 400, "Invalid group uri"):
        s3.put_object_acl(Bucket=open_bucket, Key="k", GrantRead="uri=http://nowhere")
    with refused("InvalidArgument", 400, "Invalid id"):
        s3.put_object_acl(Bucket=open_bucket, Key="k", GrantRead="id=wrong")
    with refused("InvalidRequest", 400):
        s3.put_object_acl(Bucket=open_bucket, Key="k", ACL="private", GrantRead="id=" + "b" * 64)
    with refused("MissingSecurityHeader", 400):
        s3.put_object_acl(Bucket=open_bucket, Key="k")


def test_public_lists_are_blocked_unless_the_block_is_taken_away(s3, bucket):
    s3.put_bucket_ownership_controls(
        Bucket=bucket, OwnershipControls={"Rules": [{"ObjectOwnership": "ObjectWriter"}]}
    )
    with refused("AccessDenied", 403) as error:
        s3.put_bucket_acl(Bucket=bucket, ACL="public-read")
    assert "BlockPublicAcls" in error.message


def test_a_bucket_is_not_made_public(s3, unique):
    name = unique("public")
    with refused("InvalidBucketAclWithObjectOwnership", 400):
        s3.create_bucket(Bucket=name, ACL="public-read")
    with refused("InvalidBucketAclWithBlockPublicAccessError", 400):
        s3.create_bucket(Bucket=name, ACL="public-read", ObjectOwnership="ObjectWriter")
