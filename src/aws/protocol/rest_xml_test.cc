// Literal requests and answers of S3, over its own tables.
#include "aws/protocol/rest_xml.h"

#include "aws/protocol/rest_xml_integrity.h"

#include "gen/s3/operations.gen.h"

#include <gtest/gtest.h>

namespace hearth::aws::protocol {
namespace {

namespace s3 = hearth::s3::model;

struct Request {
    std::string_view method;
    std::string_view target;
    Headers headers = {};
    std::string_view body = {};

    RequestParts Parts() const {
        const size_t question_mark = target.find('?');
        return {
            .method = method,
            .path = target.substr(0, question_mark),
            .query = question_mark == std::string_view::npos ? std::string_view()
                                                             : target.substr(question_mark + 1),
            .headers = headers,
            .body = body};
    }
};

// The operation's name, or the error as "Code: message".
std::string Operation(const Request& request) {
    const auto match = FindOperation(s3::Service(), request.Parts());
    return match.ok() ? std::string(match->operation->name)
                      : match.error().code() + ": " + match.error().message();
}

template <class Op>
Result<typename Op::Input> Decode(const Request& request) {
    const RequestParts parts = request.Parts();
    HEARTH_TRY(const Match match, FindOperation(s3::Service(), parts));
    EXPECT_EQ(match.operation->name, Op::Descriptor().name);
    typename Op::Input input;
    HEARTH_RETURN_IF_ERROR(DecodeRequest(s3::Service(), match, parts, &input));
    return input;
}

// "ok", or the error with its fields: "Code: message {ArgumentName=...}".
template <class Op>
std::string ErrorOf(const Request& request) {
    const auto input = Decode<Op>(request);
    if (input.ok()) {
        return "ok";
    }
    std::string text = input.error().code() + ": " + input.error().message();
    for (const auto& [name, value] : input.error().fields()) {
        text += " {" + name + "=" + value + "}";
    }
    return text;
}

template <class Op>
Answer Encode(const typename Op::Output& output) {
    return EncodeResponse(s3::Service(), Op::Descriptor(), &output, "4442587FB7D0A2F9");
}

std::string Header(const Answer& answer, std::string_view name) {
    for (const auto& [key, value] : answer.headers) {
        if (key == name) {
            return value;
        }
    }
    return "(none)";
}

WallClock::time_point At(int64_t unix_ms) {
    return WallClock::time_point(std::chrono::milliseconds(unix_ms));
}

const std::string kDeclaration = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";
constexpr std::string_view kMalformedXml =
    "MalformedXML: The XML you provided was not well-formed or did not validate against our "
    "published schema";

TEST(RestXmlOperations, ByMethodAndDepth) {
    EXPECT_EQ(Operation({"GET", "/"}), "ListBuckets");
    EXPECT_EQ(Operation({"GET", "/?x-id=ListBuckets"}), "ListBuckets");
    EXPECT_EQ(Operation({"GET", "/bucket"}), "ListObjects");
    EXPECT_EQ(Operation({"GET", "/bucket/"}), "ListObjects");
    EXPECT_EQ(Operation({"GET", "/bucket/?list-type=2&prefix=a"}), "ListObjectsV2");
    EXPECT_EQ(Operation({"GET", "/bucket?list-type=1"}), "ListObjects");
    EXPECT_EQ(Operation({"PUT", "/bucket"}), "CreateBucket");
    EXPECT_EQ(Operation({"HEAD", "/bucket"}), "HeadBucket");
    EXPECT_EQ(Operation({"DELETE", "/bucket/"}), "DeleteBucket");
    EXPECT_EQ(Operation({"GET", "/bucket/key"}), "GetObject");
    EXPECT_EQ(Operation({"GET", "/bucket/key?x-id=GetObject"}), "GetObject");
    EXPECT_EQ(Operation({"GET", "/bucket/key?partNumber=1&versionId=v"}), "GetObject");
    EXPECT_EQ(Operation({"GET", "/bucket//"}), "GetObject");
    EXPECT_EQ(Operation({"HEAD", "/bucket/key"}), "HeadObject");
    EXPECT_EQ(Operation({"PUT", "/bucket/key"}), "PutObject");
    EXPECT_EQ(Operation({"DELETE", "/bucket/key?versionId=v"}), "DeleteObject");
}

TEST(RestXmlOperations, BySubResource) {
    EXPECT_EQ(Operation({"GET", "/bucket?acl"}), "GetBucketAcl");
    EXPECT_EQ(Operation({"GET", "/bucket?acl="}), "GetBucketAcl");
    EXPECT_EQ(Operation({"GET", "/bucket?acl=1"}), "GetBucketAcl");
    EXPECT_EQ(Operation({"GET", "/bucket?ACL"}), "ListObjects");
    EXPECT_EQ(Operation({"GET", "/bucket/key?acl"}), "GetObjectAcl");
    EXPECT_EQ(Operation({"PUT", "/bucket/key?tagging&versionId=v"}), "PutObjectTagging");
    EXPECT_EQ(Operation({"GET", "/bucket?lifecycle"}), "GetBucketLifecycleConfiguration");
    EXPECT_EQ(Operation({"PUT", "/bucket?lifecycle"}), "PutBucketLifecycleConfiguration");
    EXPECT_EQ(Operation({"DELETE", "/bucket?lifecycle"}), "DeleteBucketLifecycle");
    EXPECT_EQ(Operation({"GET", "/bucket?versions&prefix=a"}), "ListObjectVersions");
    EXPECT_EQ(Operation({"GET", "/bucket?uploads"}), "ListMultipartUploads");
    EXPECT_EQ(Operation({"POST", "/bucket?delete"}), "DeleteObjects");
    EXPECT_EQ(
        Operation({"GET", "/bucket?intelligent-tiering"}),
        "ListBucketIntelligentTieringConfigurations");
    EXPECT_EQ(
        Operation({"GET", "/bucket?intelligent-tiering&id=a"}),
        "GetBucketIntelligentTieringConfiguration");
    EXPECT_EQ(Operation({"POST", "/bucket/key?select&select-type=2"}), "SelectObjectContent");
    EXPECT_EQ(Operation({"POST", "/bucket/key?restore&versionId=v"}), "RestoreObject");
}

TEST(RestXmlOperations, ByRequiredParametersAndHeaders) {
    const Headers copy = {{"x-amz-copy-source", "/a/b"}};
    EXPECT_EQ(Operation({"PUT", "/bucket/key", copy}), "CopyObject");
    EXPECT_EQ(Operation({"PUT", "/bucket/key?partNumber=1&uploadId=u"}), "UploadPart");
    EXPECT_EQ(Operation({"PUT", "/bucket/key?partNumber=1&uploadId=u", copy}), "UploadPartCopy");
    EXPECT_EQ(Operation({"POST", "/bucket/key?uploads"}), "CreateMultipartUpload");
    EXPECT_EQ(Operation({"POST", "/bucket/key?uploadId=u"}), "CompleteMultipartUpload");
    EXPECT_EQ(Operation({"DELETE", "/bucket/key?uploadId=u"}), "AbortMultipartUpload");
    EXPECT_EQ(Operation({"GET", "/bucket/key?uploadId=u"}), "ListParts");
    EXPECT_EQ(Operation({"GET", "/bucket/key?attributes"}), "GetObjectAttributes");
}

TEST(RestXmlOperations, WhatContradictsItselfOrIsNotThereIsRefused) {
    EXPECT_EQ(
        Operation({"GET", "/bucket?versioning&acl"}),
        "InvalidArgument: Conflicting query string parameters: acl, versioning");
    EXPECT_EQ(
        Operation({"POST", "/bucket/key?uploads&uploadId=u"}),
        "InvalidArgument: Conflicting query string parameters: uploadId, uploads");
    constexpr std::string_view kNotAllowed =
        "MethodNotAllowed: The specified method is not allowed against this resource.";
    EXPECT_EQ(Operation({"POST", "/"}), kNotAllowed);
    EXPECT_EQ(Operation({"POST", "/bucket"}), kNotAllowed);
    EXPECT_EQ(Operation({"PATCH", "/bucket/key"}), kNotAllowed);
    EXPECT_EQ(Operation({"POST", "/bucket/key"}), kNotAllowed);
    EXPECT_EQ(Operation({"HEAD", "/bucket?acl"}), kNotAllowed);
    EXPECT_EQ(Operation({"PUT", "/bucket/key?torrent"}), kNotAllowed);
}

// A client that means a bucket's policy never writes an object, nor the other way round.
TEST(RestXmlOperations, WritesToASubResourceOfAnotherDepthAreRefused) {
    EXPECT_TRUE(Operation({"PUT", "/bucket/key?policy"}).starts_with("MethodNotAllowed"));
    EXPECT_TRUE(Operation({"DELETE", "/bucket/key?lifecycle"}).starts_with("MethodNotAllowed"));
    EXPECT_EQ(
        Operation({"DELETE", "/bucket?uploadId=u"}), "InvalidRequest: A key must be specified");
    EXPECT_EQ(Operation({"PUT", "/bucket?retention"}), "InvalidRequest: A key must be specified");
    EXPECT_EQ(Operation({"GET", "/bucket/key?policy"}), "GetObject");
    EXPECT_TRUE(Operation({"PUT", "/bucket/key?uploadId=u"}).starts_with("MethodNotAllowed"));
    EXPECT_EQ(
        Operation({"PUT", "/bucket/key?partNumber=1"}),
        "InvalidArgument: This operation does not accept partNumber without uploadId");
}

TEST(RestXmlKeys, KeepEveryByte) {
    const auto key = [](std::string_view target) {
        const auto input = Decode<s3::GetObject>({"GET", target});
        return input.ok() ? input->key.value_or("(none)") : input.error().code();
    };
    EXPECT_EQ(key("/bucket/a/b"), "a/b");
    EXPECT_EQ(key("/bucket/a%2Fb"), "a/b");
    EXPECT_EQ(key("/bucket//a"), "/a");
    EXPECT_EQ(key("/bucket/a//"), "a//");
    EXPECT_EQ(key("/bucket/../../etc/passwd"), "../../etc/passwd");
    EXPECT_EQ(key("/bucket/./."), "./.");
    EXPECT_EQ(key("/bucket/%2E%2E/a"), "../a");
    EXPECT_EQ(key("/bucket/a%20b%2Bc+d"), "a b+c d");
    EXPECT_EQ(key("/bucket/%00%01%7f"), std::string("\0\x01\x7f", 3));
    EXPECT_EQ(key("/bucket/%C3%A4"), "\xc3\xa4");
    EXPECT_EQ(key("/bucket/%FF"), "InvalidURI");
    EXPECT_EQ(key("/bucket/%zz"), "InvalidURI");
    EXPECT_EQ(key("/bucket/%"), "InvalidURI");
    EXPECT_EQ(key("/bucket/" + std::string(1024, 'a')), std::string(1024, 'a'));
    EXPECT_EQ(key("/bucket/" + std::string(1025, 'a')), "KeyTooLongError");
}

TEST(RestXmlDecode, HeadersParametersAndMetadata) {
    const auto input = Decode<s3::GetObject>(
        {"GET",
         "/bucket/key?versionId=v%2B1&response-content-type=text%2Fplain&partNumber=007",
         {{"range", "bytes=0-1"},
          {"if-modified-since", "Sat, 31 Jan 2026 10:00:00 GMT"},
          {"if-unmodified-since", "no date"},
          {"x-amz-checksum-mode", "enabled"}}});
    ASSERT_TRUE(input.ok());
    EXPECT_EQ(input->bucket, "bucket");
    EXPECT_EQ(input->key, "key");
    EXPECT_EQ(input->version_id, "v+1");
    EXPECT_EQ(input->response_content_type, "text/plain");
    EXPECT_EQ(input->part_number, 7);
    EXPECT_EQ(input->range, "bytes=0-1");
    EXPECT_EQ(input->if_modified_since, At(1'769'853'600'000));
    EXPECT_EQ(input->if_unmodified_since, std::nullopt);

    const auto put = Decode<s3::PutObject>(
        {"PUT",
         "/bucket/key",
         {{"x-amz-meta-a", "1"},
          {"x-amz-meta-b-c", "2"},
          {"x-amz-meta-a", "3"},
          {"expires", "whenever"},
          {"x-amz-server-side-encryption-bucket-key-enabled", "True"},
          {"x-amz-object-lock-retain-until-date", "2026-01-31T10:00:00.5Z"},
          {"content-length", "5"}}});
    ASSERT_TRUE(put.ok());
    EXPECT_EQ(put->metadata, (std::map<std::string, std::string>{{"a", "1,3"}, {"b-c", "2"}}));
    EXPECT_EQ(put->expires, "whenever");
    EXPECT_EQ(put->bucket_key_enabled, true);
    EXPECT_EQ(put->object_lock_retain_until_date, At(1'769'853'600'500));
    EXPECT_EQ(put->content_length, 5);
    EXPECT_EQ(put->body, std::nullopt);
}

TEST(RestXmlDecode, ChecksumsAreNamedInAnyCase) {
    const auto input = Decode<s3::CreateMultipartUpload>(
        {"POST",
         "/bucket/key?uploads",
         {{"x-amz-checksum-algorithm", "crc64nvme"}, {"x-amz-checksum-type", "Full_Object"}}});
    ASSERT_TRUE(input.ok());
    EXPECT_EQ(input->checksum_algorithm, "CRC64NVME");
    EXPECT_EQ(input->checksum_type, "FULL_OBJECT");
}

TEST(RestXmlDecode, SignedUrlsCarryHeaders) {
    constexpr std::string_view kQuery =
        "x-amz-acl=public-read&X-Amz-Meta-Colour=light%20blue&x-amz-storage-class=GLACIER"
        "&x-amz-checksum-crc32=AAAAAA%3D%3D&x-amz-sdk-checksum-algorithm=CRC32"
        "&x-amz-server-side-encryption=AES256";
    const auto signed_url = Decode<s3::PutObject>(
        {"PUT",
         "/bucket/key?" + std::string(kQuery) + "&X-Amz-Signature=00",
         {{"x-amz-storage-class", "STANDARD"}}});
    ASSERT_TRUE(signed_url.ok());
    EXPECT_EQ(signed_url->acl, "public-read");
    EXPECT_EQ(signed_url->metadata, (std::map<std::string, std::string>{{"colour", "light blue"}}));
    EXPECT_EQ(signed_url->storage_class, "STANDARD");
    EXPECT_EQ(signed_url->checksum_crc32, std::nullopt);
    EXPECT_EQ(signed_url->checksum_algorithm, std::nullopt);
    EXPECT_EQ(signed_url->server_side_encryption, std::nullopt);

    const auto other = Decode<s3::PutObject>({"PUT", "/bucket/key?" + std::string(kQuery)});
    ASSERT_TRUE(other.ok());
    EXPECT_EQ(other->acl, std::nullopt);
    EXPECT_EQ(other->metadata, std::nullopt);
}

TEST(RestXmlDecode, ListsInOneHeaderOrSeveral) {
    const auto input = Decode<s3::GetObjectAttributes>(
        {"GET",
         "/bucket/key?attributes",
         {{"x-amz-object-attributes", "ETag, Checksum"},
          {"x-amz-object-attributes", "ObjectSize"}}});
    ASSERT_TRUE(input.ok());
    EXPECT_EQ(
        input->object_attributes, (std::vector<std::string>{"ETag", "Checksum", "ObjectSize"}));
}

TEST(RestXmlDecode, BodiesWithFlattenedListsAndOthers) {
    const auto input = Decode<s3::DeleteObjects>(
        {"POST",
         "/bucket/?delete",
         {{"x-amz-trailer", "x-amz-checksum-crc32"}},
         "<?xml version=\"1.0\"?><Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\n"
         "  <Object><Key> a&amp;b </Key></Object>\n"
         "  <Quiet>true</Quiet><Object><VersionId>v</VersionId><Key>c</Key></Object></Delete>"});
    ASSERT_TRUE(input.ok());
    ASSERT_EQ(input->delete_->objects->size(), 2U);
    EXPECT_EQ(input->delete_->objects->at(0).key, " a&b ");
    EXPECT_EQ(input->delete_->objects->at(1).version_id, "v");
    EXPECT_EQ(input->delete_->quiet, true);

    const auto tags = Decode<s3::PutBucketTagging>(
        {"PUT",
         "/bucket?tagging",
         {},
         "<Tagging><TagSet><Tag><Key>k</Key><Value></Value></Tag></TagSet></Tagging>"});
    ASSERT_TRUE(tags.ok());
    EXPECT_EQ(tags->tagging->tag_set->at(0).key, "k");
    EXPECT_EQ(tags->tagging->tag_set->at(0).value, "");
}

TEST(RestXmlDecode, AttributesOfGrantees) {
    const auto input = Decode<s3::PutBucketAcl>(
        {"PUT",
         "/bucket?acl",
         {},
         "<AccessControlPolicy><Owner><ID>o</ID></Owner><AccessControlList><Grant>"
         "<Grantee xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:type=\"Group\">"
         "<URI>http://acs.amazonaws.com/groups/global/AllUsers</URI></Grantee>"
         "<Permission>READ</Permission></Grant></AccessControlList></AccessControlPolicy>"});
    ASSERT_TRUE(input.ok());
    const auto& grant = input->access_control_policy->grants->at(0);
    EXPECT_EQ(grant.grantee->type, "Group");
    EXPECT_EQ(grant.permission, "READ");
}

TEST(RestXmlDecode, DatesOfRulesWithAndWithoutATime) {
    for (const std::string_view date : {"2026-01-31", "2026-01-31T00:00:00.000Z"}) {
        const std::string body =
            "<LifecycleConfiguration><Rule><Status>Enabled</Status><Filter/><Expiration><Date>" +
            std::string(date) + "</Date></Expiration></Rule></LifecycleConfiguration>";
        const auto input = Decode<s3::PutBucketLifecycleConfiguration>(
            {"PUT", "/bucket?lifecycle", {{"x-amz-trailer", "x-amz-checksum-crc32"}}, body});
        ASSERT_TRUE(input.ok()) << date;
        EXPECT_EQ(
            input->lifecycle_configuration->rules->at(0).expiration->date, At(1'769'817'600'000));
    }
}

TEST(RestXmlDecode, BodiesThatAreNotOfTheSchemaAreMalformed) {
    const auto tagging = [](std::string_view body) {
        return ErrorOf<s3::PutObjectTagging>({"PUT", "/bucket/key?tagging", {}, body});
    };
    for (const std::string_view body :
         {"no xml",
          "<Other/>",
          "<Tagging><TagSet/><TagSet/></Tagging>",
          "<Tagging><Unknown/></Tagging>",
          "<Tagging>text<TagSet/></Tagging>",
          "<Tagging><TagSet><Other/></TagSet></Tagging>",
          "<Tagging><TagSet><Tag><Key>k</Key></Tag></TagSet></Tagging>",
          "<Tagging><TagSet><Tag><Key><b/></Key><Value/></Tag></TagSet></Tagging>",
          "<Tagging/>",
          "<!DOCTYPE x><Tagging><TagSet/></Tagging>",
          "<Tagging><TagSet/></Tagging><Tagging/>"}) {
        EXPECT_EQ(tagging(body), kMalformedXml) << body;
    }
    EXPECT_EQ(tagging(""), "MissingRequestBodyError: Request Body is empty");
    EXPECT_EQ(tagging(" \r\n"), "MissingRequestBodyError: Request Body is empty");
    EXPECT_EQ(tagging("<Tagging><TagSet/></Tagging>"), "ok");
    EXPECT_EQ(
        ErrorOf<s3::PutBucketVersioning>(
            {"PUT",
             "/bucket?versioning",
             {},
             "<VersioningConfiguration><Status>On</Status></VersioningConfiguration>"}),
        kMalformedXml);
    EXPECT_EQ(
        ErrorOf<s3::RestoreObject>(
            {"POST",
             "/bucket/key?restore",
             {},
             "<RestoreRequest><Days>1x</Days></RestoreRequest>"}),
        kMalformedXml);
}

TEST(RestXmlDecode, WrongHeadersAndParametersInTheWordsOfS3) {
    const auto put = [](std::string_view header, std::string_view value) {
        return ErrorOf<s3::PutObject>(
            {"PUT", "/bucket/key", {{std::string(header), std::string(value)}}});
    };
    EXPECT_EQ(
        put("x-amz-storage-class", "HOT"),
        "InvalidStorageClass: The storage class you specified is not valid "
        "{StorageClassRequested=HOT}");
    EXPECT_EQ(
        put("x-amz-acl", "all"), "InvalidArgument:  {ArgumentName=x-amz-acl} {ArgumentValue=all}");
    EXPECT_EQ(
        put("x-amz-object-lock-mode", "SOFT"),
        "InvalidArgument: Unknown wormMode directive. {ArgumentName=x-amz-object-lock-mode} "
        "{ArgumentValue=SOFT}");
    EXPECT_EQ(
        put("x-amz-object-lock-retain-until-date", "tomorrow"),
        "InvalidArgument: The retain until date must be provided in ISO 8601 format "
        "{ArgumentName=x-amz-object-lock-retain-until-date} {ArgumentValue=tomorrow}");
    const auto list = [](std::string_view query) {
        return ErrorOf<s3::ListObjectsV2>({"GET", "/bucket?list-type=2&" + std::string(query)});
    };
    EXPECT_EQ(list("max-keys="), "ok");
    EXPECT_EQ(list("max-keys=00005&encoding-type=URL"), "ok");
    for (const std::string_view text : {"abc", "+5", "2147483648", "1%20"}) {
        EXPECT_TRUE(list("max-keys=" + std::string(text))
                        .starts_with("InvalidArgument: Provided max-keys not an integer or within "
                                     "integer range {ArgumentName=max-keys}"))
            << text;
    }
    EXPECT_EQ(
        list("max-keys=-01"),
        "InvalidArgument: Argument maxKeys must be an integer between 0 and 2147483647 "
        "{ArgumentName=maxKeys} {ArgumentValue=-1}");
    EXPECT_EQ(
        list("encoding-type=gzip"),
        "InvalidArgument: Invalid Encoding Method specified in Request "
        "{ArgumentName=encoding-type} {ArgumentValue=gzip}");
    EXPECT_EQ(list("prefix=%ff"), "InvalidURI: Couldn't parse the specified URI.");
    EXPECT_EQ(
        ErrorOf<s3::UploadPart>({"PUT", "/bucket/key?uploadId=u&partNumber=10001"}),
        "InvalidArgument: Part number must be an integer between 1 and 10000, inclusive "
        "{ArgumentName=partNumber} {ArgumentValue=10001}");
    for (const Headers& headers : {Headers(), Headers{{"x-amz-object-attributes", " , "}}}) {
        EXPECT_EQ(
            ErrorOf<s3::GetObjectAttributes>({"GET", "/bucket/key?attributes", headers}),
            "InvalidRequest: The x-amz-object-attributes header specifying the attributes to be "
            "retrieved is either missing or empty");
    }
    EXPECT_EQ(
        ErrorOf<s3::GetObject>({"GET", "/bucket/key?versionId="}),
        "InvalidArgument: Version id cannot be the empty string {ArgumentName=versionId} "
        "{ArgumentValue=}");
}

TEST(RestXmlDecode, TrailersAreCheckedAgainstTheirBody) {
    for (const auto& [name, value] : Headers{
             {"content-md5", "XUFAKrxLKna5cZ2REBfFkg=="},
             {"x-amz-checksum-crc32", "NhCmhg=="},
             {"x-amz-checksum-crc32c", "mnG7TA=="},
             {"x-amz-checksum-sha1", "qvTGHdzF6KLavt4PO0gs2a6pQ00="},
             {"x-amz-checksum-sha256", "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ="}}) {
        EXPECT_TRUE(CheckTrailers({{name, value}}, "hello").ok()) << name;
        const Status other = CheckTrailers({{name, value}}, "other");
        ASSERT_FALSE(other.ok()) << name;
        EXPECT_EQ(other.error().code(), "BadDigest") << name;
        const Status no_digest = CheckTrailers({{name, "abc"}}, "hello");
        EXPECT_FALSE(no_digest.ok()) << name;
    }
    EXPECT_TRUE(CheckTrailers({{"x-amz-trailer-signature", "00"}}, "hello").ok());
}

TEST(RestXmlDecode, WhatComesWithABodyIsCheckedAgainstIt) {
    constexpr std::string_view kDelete = "<Delete><Object><Key>a</Key></Object></Delete>";
    const auto remove = [&](Headers headers) {
        return ErrorOf<s3::DeleteObjects>({"POST", "/bucket?delete", std::move(headers), kDelete});
    };
    EXPECT_EQ(remove({{"content-md5", "aFPqFnlCon58cZ4Qt7zwvQ=="}}), "ok");
    EXPECT_EQ(remove({{"x-amz-checksum-crc32", "v6Ysrw=="}}), "ok");
    EXPECT_EQ(
        remove({{"x-amz-checksum-sha256", "b9qfkiJPh7YpXlHOwFcwrzwDhH5vPcI78v9N4bFbu4E="}}), "ok");
    EXPECT_EQ(
        remove({}),
        "InvalidRequest: Missing required header for this request: Content-MD5 OR "
        "x-amz-checksum-*");
    EXPECT_EQ(
        remove({{"content-md5", "1B2M2Y8AsgTpgAmY7PhCfg=="}}),
        "BadDigest: The Content-MD5 you specified did not match what we received. "
        "{ExpectedDigest=1B2M2Y8AsgTpgAmY7PhCfg==} {CalculatedDigest=aFPqFnlCon58cZ4Qt7zwvQ==}");
    EXPECT_EQ(
        remove({{"content-md5", "abc"}}),
        "InvalidDigest: The Content-MD5 you specified was invalid. {Content-MD5=abc}");
    EXPECT_EQ(
        remove({{"x-amz-checksum-crc32c", "AAAAAA=="}}),
        "BadDigest: The CRC32C you specified did not match the calculated checksum.");
    EXPECT_EQ(
        remove({{"x-amz-checksum-sha1", "AAAAAA=="}}),
        "InvalidRequest: Value for x-amz-checksum-sha1 header is invalid.");
    // The check sum of the whole object is not the one of this body.
    EXPECT_EQ(
        ErrorOf<s3::CompleteMultipartUpload>(
            {"POST",
             "/bucket/key?uploadId=u",
             {{"x-amz-checksum-crc32", "AAAAAA=="}},
             "<CompleteMultipartUpload/>"}),
        "ok");
}

TEST(RestXmlEncode, HeadersAndMetadata) {
    s3::GetObject::Output output;
    output.e_tag = "\"abc\"";
    output.last_modified = At(1'769'853'600'500);
    output.content_length = 5;
    output.metadata = {{"a", "1"}, {"evil\r\nname", "2\r\nX: y"}};
    output.object_lock_retain_until_date = At(1'769'853'600'000);
    const Answer answer = Encode<s3::GetObject>(output);
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.body, "");
    EXPECT_EQ(Header(answer, "etag"), "\"abc\"");
    EXPECT_EQ(Header(answer, "last-modified"), "Sat, 31 Jan 2026 10:00:00 GMT");
    EXPECT_EQ(Header(answer, "x-amz-object-lock-retain-until-date"), "2026-01-31T10:00:00.000Z");
    EXPECT_EQ(Header(answer, "x-amz-meta-a"), "1");
    EXPECT_EQ(Header(answer, "x-amz-meta-evil  name"), "2  X: y");
    EXPECT_EQ(Header(answer, "content-length"), "(none)");
    EXPECT_EQ(Header(answer, "content-type"), "(none)");
    EXPECT_EQ(Header(answer, "x-amz-request-id"), "4442587FB7D0A2F9");
    EXPECT_EQ(Header(answer, "x-amz-id-2").size(), 96U);
}

TEST(RestXmlEncode, ListsOfObjects) {
    s3::ListObjectsV2::Output output;
    output.name = "bucket";
    output.prefix = "";
    output.is_truncated = false;
    output.contents.emplace();
    auto& object = output.contents->emplace_back();
    object.key = "a&<b>\x01\r";
    object.last_modified = At(1'769'853'600'000);
    object.size = 3;
    output.contents->emplace_back().key = "c";
    output.common_prefixes.emplace();
    output.common_prefixes->emplace_back().prefix = "d/";
    const Answer answer = Encode<s3::ListObjectsV2>(output);
    EXPECT_EQ(Header(answer, "content-type"), "application/xml");
    EXPECT_EQ(
        answer.body,
        kDeclaration +
            "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
            "<IsTruncated>false</IsTruncated>"
            "<Contents><Key>a&amp;&lt;b&gt;&#x1;&#xD;</Key>"
            "<LastModified>2026-01-31T10:00:00.000Z</LastModified><Size>3</Size></Contents>"
            "<Contents><Key>c</Key></Contents><Name>bucket</Name><Prefix></Prefix>"
            "<CommonPrefixes><Prefix>d/</Prefix></CommonPrefixes></ListBucketResult>");
}

TEST(RestXmlEncode, NestedListsAndAttributes) {
    s3::ListBuckets::Output buckets;
    buckets.buckets.emplace();
    buckets.buckets->emplace_back().name = "a";
    EXPECT_EQ(
        Encode<s3::ListBuckets>(buckets).body,
        kDeclaration +
            "<ListAllMyBucketsResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
            "<Buckets><Bucket><Name>a</Name></Bucket></Buckets></ListAllMyBucketsResult>");

    s3::GetBucketAcl::Output acl;
    acl.grants.emplace();
    auto& grant = acl.grants->emplace_back();
    grant.grantee.emplace();
    grant.grantee->type = "CanonicalUser";
    grant.grantee->id = "1";
    grant.permission = "READ";
    EXPECT_EQ(
        Encode<s3::GetBucketAcl>(acl).body,
        kDeclaration +
            "<AccessControlPolicy xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
            "<AccessControlList><Grant>"
            "<Grantee xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" "
            "xsi:type=\"CanonicalUser\"><ID>1</ID></Grantee><Permission>READ</Permission></Grant>"
            "</AccessControlList></AccessControlPolicy>");
}

TEST(RestXmlEncode, AnswersThatAreOneValue) {
    s3::GetBucketLocation::Output location;
    constexpr std::string_view kOpen =
        "<LocationConstraint xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">";
    EXPECT_EQ(
        Encode<s3::GetBucketLocation>(location).body,
        kDeclaration + std::string(kOpen) + "</LocationConstraint>");
    location.location_constraint = "eu-west-1";
    EXPECT_EQ(
        Encode<s3::GetBucketLocation>(location).body,
        kDeclaration + std::string(kOpen) + "eu-west-1</LocationConstraint>");

    s3::GetBucketPolicy::Output policy;
    policy.policy = "{}";
    EXPECT_EQ(Encode<s3::GetBucketPolicy>(policy).body, "{}");

    s3::CopyObject::Output copy;
    copy.copy_source_version_id = "v";
    copy.copy_object_result.emplace();
    copy.copy_object_result->e_tag = "\"e\"";
    const Answer answer = Encode<s3::CopyObject>(copy);
    EXPECT_EQ(Header(answer, "x-amz-copy-source-version-id"), "v");
    EXPECT_EQ(
        answer.body,
        kDeclaration +
            "<CopyObjectResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
            "<ETag>&quot;e&quot;</ETag></CopyObjectResult>");
}

TEST(RestXmlEncode, AnswersWithoutABody) {
    s3::PutObject::Output put;
    put.e_tag = "\"e\"";
    const Answer answer = Encode<s3::PutObject>(put);
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.body, "");
    EXPECT_EQ(Header(answer, "content-type"), "(none)");
    EXPECT_EQ(Encode<s3::DeleteObject>({}).status, 204);
    EXPECT_EQ(Encode<s3::PutBucketPolicy>({}).status, 204);
}

TEST(RestXmlErrors, CarryFieldsAndBothIds) {
    Error error(Error::Kind::kNotFound, "NoSuchKey", "The specified key does not exist.", 404);
    const Answer answer =
        EncodeError(s3::Service(), std::move(error).WithField("Key", "a<b"), "4442587FB7D0A2F9");
    EXPECT_EQ(answer.status, 404);
    EXPECT_EQ(Header(answer, "content-type"), "application/xml");
    EXPECT_EQ(Header(answer, "x-amz-request-id"), "4442587FB7D0A2F9");
    EXPECT_EQ(
        answer.body,
        kDeclaration +
            "<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message>"
            "<Key>a&lt;b</Key><RequestId>4442587FB7D0A2F9</RequestId><HostId>" +
            Header(answer, "x-amz-id-2") + "</HostId></Error>");
}

TEST(RestXmlErrors, NotModifiedHasNoBody) {
    const Error error(Error::Kind::kInvalid, "NotModified", "Not Modified", 304);
    const Answer answer = EncodeError(s3::Service(), error, "id");
    EXPECT_EQ(answer.status, 304);
    EXPECT_EQ(answer.body, "");
    EXPECT_EQ(Header(answer, "content-type"), "(none)");
}

TEST(RestXmlErrors, KindsWithoutACodeGetThoseOfS3) {
    const auto code = [](Error::Kind kind) {
        const Answer answer =
            EncodeError(s3::Service(), Error(kind, "", "secret of the store", 500), "id");
        const size_t begin = answer.body.find("<Code>") + 6;
        return std::to_string(answer.status) + " " +
               answer.body.substr(begin, answer.body.find("</Code>") - begin);
    };
    EXPECT_EQ(code(Error::Kind::kInternal), "500 InternalError");
    EXPECT_EQ(code(Error::Kind::kConflict), "503 SlowDown");
    EXPECT_EQ(code(Error::Kind::kUnavailable), "503 ServiceUnavailable");
    EXPECT_EQ(code(Error::Kind::kDenied), "403 AccessDenied");
    const Answer internal = EncodeError(
        s3::Service(), Error(Error::Kind::kInternal, "", "secret of the store", 500), "id");
    EXPECT_EQ(internal.body.find("secret"), std::string::npos);
    const auto missing = FindOperation(
        s3::Service(),
        {.method = "GET", .path = "/b", .query = "inventory&id=1", .headers = {}, .body = {}});
    ASSERT_TRUE(missing.ok());
    EXPECT_EQ(NotImplemented(s3::Service(), *missing->operation).code(), "NotImplemented");
}

}  // namespace
}  // namespace hearth::aws::protocol
