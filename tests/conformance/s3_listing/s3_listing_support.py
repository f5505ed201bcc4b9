"""Walking listings page by page, and emptying buckets."""


def remove_bucket(s3, name):
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=name):
        entries = page.get("Versions", []) + page.get("DeleteMarkers", [])
        for entry in entries:
            s3.delete_object(Bucket=name, Key=entry["Key"], VersionId=entry["VersionId"])
    s3.delete_bucket(Bucket=name)


def keys(answer):
    return [entry["Key"] for entry in answer.get("Contents", [])]


def prefixes(answer):
    return [entry["Prefix"] for entry in answer.get("CommonPrefixes", [])]


def entries(answer):
    """Keys and common prefixes, in the order of their bytes."""
    return sorted(keys(answer) + prefixes(answer), key=lambda key: key.encode())


def walk_v1(s3, **arguments):
    """All pages of ListObjects, asserting what each says about itself."""
    pages = []
    while True:
        answer = s3.list_objects(**arguments)
        pages.append(answer)
        if not answer["IsTruncated"]:
            assert "NextMarker" not in answer
            return pages
        if arguments.get("Delimiter"):
            arguments["Marker"] = answer["NextMarker"]
        else:
            assert "NextMarker" not in answer
            arguments["Marker"] = keys(answer)[-1]


def walk_v2(s3, **arguments):
    pages = []
    while True:
        answer = s3.list_objects_v2(**arguments)
        assert answer["KeyCount"] == len(entries(answer))
        pages.append(answer)
        if not answer["IsTruncated"]:
            assert "NextContinuationToken" not in answer
            return pages
        arguments["ContinuationToken"] = answer["NextContinuationToken"]
