// What botocore and the JavaScript SDK really send (tests/golden/rest_xml/record.py wrote it down)
// becomes the typed input that was given to them.
#include "aws/protocol/protocol.h"
#include "codec/json/json.h"
#include "codec/timestamp/timestamp.h"

#include "gen/s3/operations.gen.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>

namespace hearth::aws::protocol {
namespace {

namespace s3 = hearth::s3::model;
using codec::Json;
using model::Member;
using model::Shape;
using model::ShapeType;

// Members that SDKs add by themselves.
constexpr std::array<std::string_view, 7> kAdded = {
    "ChecksumAlgorithm",
    "ChecksumCRC32",
    "ContentEncoding",
    "ContentLength",
    "ContentMD5",
    "ContentType",
    "EncodingType"};

Json ToJson(const Shape& shape, const void* value) {
    switch (shape.type) {
        case ShapeType::kStructure: {
            Json object{Json::Object()};
            for (const Member& member : shape.members) {
                if (const void* item = member.Get(value)) {
                    object.Set(std::string(member.name), ToJson(*member.shape, item));
                }
            }
            return object;
        }
        case ShapeType::kList: {
            Json::Array array;
            for (size_t i = 0; i < shape.list->size(value); ++i) {
                array.push_back(ToJson(*shape.value, shape.list->at(value, i)));
            }
            return array;
        }
        case ShapeType::kMap: {
            struct Context {
                const Shape& shape;
                Json object;
            } context{*shape.value, Json(Json::Object())};

            shape.map->each(value, &context, [](void* raw, std::string_view key, const void* item) {
                auto& [item_shape, object] = *static_cast<Context*>(raw);
                object.Set(std::string(key), ToJson(item_shape, item));
            });
            return std::move(context.object);
        }
        case ShapeType::kInteger:
            return *static_cast<const int32_t*>(value);
        case ShapeType::kLong:
            return *static_cast<const int64_t*>(value);
        case ShapeType::kBoolean:
            return *static_cast<const bool*>(value);
        case ShapeType::kFloat:
        case ShapeType::kDouble:
            return *static_cast<const double*>(value);
        case ShapeType::kTimestamp: {
            Json date{Json::Object()};
            date.Set(
                "$date",
                codec::FormatIso8601(*static_cast<const WallClock::time_point*>(value), true));
            return date;
        }
        case ShapeType::kString:
        case ShapeType::kBlob:
            break;
    }
    return *static_cast<const std::string*>(value);
}

// Members by name: those of the model stand in another order than those that were given.
Json Sorted(Json json) {
    if (Json::Object* object = json.AsObject()) {
        for (Json::Member& member : *object) {
            member.value = Sorted(std::move(member.value));
        }
        std::ranges::sort(*object, {}, &Json::Member::name);
    } else if (Json::Array* array = json.AsArray()) {
        for (Json& item : *array) {
            item = Sorted(std::move(item));
        }
    }
    return json;
}

using Decoder = std::function<Result<Json>(const Match&, const RequestParts&)>;

template <class... Op>
std::map<std::string_view, Decoder> DecodersOf() {
    return {
        {Op::Descriptor().name,
         [](const Match& match, const RequestParts& request) -> Result<Json> {
             typename Op::Input input;
             HEARTH_RETURN_IF_ERROR(DecodeRequest(s3::Service(), match, request, &input));
             return ToJson(*Op::Descriptor().input, &input);
         }}...};
}

std::map<std::string_view, Decoder> Decoders() {
    return DecodersOf<
        s3::ListBuckets,
        s3::CreateBucket,
        s3::HeadBucket,
        s3::DeleteBucket,
        s3::GetBucketLocation,
        s3::ListObjects,
        s3::ListObjectsV2,
        s3::ListObjectVersions,
        s3::GetObject,
        s3::HeadObject,
        s3::PutObject,
        s3::CopyObject,
        s3::DeleteObject,
        s3::DeleteObjects,
        s3::GetObjectAttributes,
        s3::CreateMultipartUpload,
        s3::UploadPart,
        s3::UploadPartCopy,
        s3::CompleteMultipartUpload,
        s3::AbortMultipartUpload,
        s3::ListParts,
        s3::ListMultipartUploads,
        s3::PutBucketAcl,
        s3::PutBucketCors,
        s3::PutBucketEncryption,
        s3::PutBucketLifecycleConfiguration,
        s3::PutBucketLogging,
        s3::PutBucketNotificationConfiguration,
        s3::PutBucketOwnershipControls,
        s3::PutBucketPolicy,
        s3::PutBucketTagging,
        s3::PutBucketVersioning,
        s3::PutBucketWebsite,
        s3::PutBucketIntelligentTieringConfiguration,
        s3::PutObjectLockConfiguration,
        s3::PutObjectRetention,
        s3::PutObjectTagging,
        s3::PutPublicAccessBlock,
        s3::RestoreObject>();
}

Json Recorded() {
    const auto path = std::filesystem::path(__FILE__).parent_path() /
                      "../../../tests/golden/rest_xml/recorded.json";
    std::ifstream file(path);
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    auto json = codec::ParseJson(text);
    EXPECT_TRUE(json.ok()) << path;
    return json.ok() ? *std::move(json) : Json(Json::Array());
}

TEST(RestXmlRecorded, RequestsOfSdksBecomeWhatWasGivenToThem) {
    const auto decoders = Decoders();
    const Json recorded = Recorded();
    EXPECT_GE(recorded.AsArray()->size(), 70U);
    for (const Json& row : *recorded.AsArray()) {
        const std::string& operation = *row.FindString("operation");
        SCOPED_TRACE(*row.FindString("source") + " " + operation);
        const std::string& target = *row.FindString("target");
        Headers headers;
        for (const Json& header : *row.Find("headers")->AsArray()) {
            headers.emplace_back(
                *header.AsArray()->at(0).AsString(), *header.AsArray()->at(1).AsString());
        }
        const size_t question_mark = target.find('?');
        const std::string path = target.substr(0, question_mark);
        const std::string query =
            question_mark == std::string::npos ? "" : target.substr(question_mark + 1);
        const RequestParts request{
            .method = *row.FindString("method"),
            .path = path,
            .query = query,
            .headers = headers,
            .body = *row.FindString("body")};
        const auto match = FindOperation(s3::Service(), request);
        ASSERT_TRUE(match.ok()) << match.error().message();
        ASSERT_EQ(match->operation->name, operation);
        const auto actual = decoders.at(operation)(*match, request);
        ASSERT_TRUE(actual.ok()) << actual.error().code() << ": " << actual.error().message();
        const Json& expected = *row.Find("input");
        for (const auto& [name, value] : *expected.AsObject()) {
            const Json* decoded = actual->Find(name);
            ASSERT_NE(decoded, nullptr) << name;
            EXPECT_EQ(codec::WriteJson(Sorted(*decoded)), codec::WriteJson(Sorted(value)));
        }
        for (const auto& [name, value] : *actual->AsObject()) {
            EXPECT_TRUE(
                expected.Find(name) != nullptr || std::ranges::find(kAdded, name) != kAdded.end())
                << name << " = " << codec::WriteJson(value);
        }
    }
}

}  // namespace
}  // namespace hearth::aws::protocol
