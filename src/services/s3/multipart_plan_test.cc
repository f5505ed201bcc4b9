#include "services/s3/multipart_plan.h"

#include "codec/base64/base64.h"
#include "codec/checksum/checksum.h"
#include "codec/crypto/crypto.h"

#include <gtest/gtest.h>

#include <string>

namespace hearth::s3 {
namespace {

constexpr uint64_t kBig = kPartBytesMin;

PartRecord Part(int32_t number, uint64_t size, const std::string& bytes = "x") {
    PartRecord part;
    part.number = number;
    part.size = size;
    part.etag = codec::Md5Hex(bytes);
    return part;
}

UploadRecord Upload(std::string algorithm, std::string type, bool asked = true) {
    UploadRecord upload;
    upload.id = "id";
    upload.object.checksum_algorithm = std::move(algorithm);
    upload.object.checksum_type = std::move(type);
    upload.checksum_asked = asked;
    return upload;
}

CompletionRequest Listing(const std::vector<PartRecord>& parts) {
    CompletionRequest request;
    for (const PartRecord& part : parts) {
        request.parts.push_back({part.number, part.etag, part.checksums});
    }
    return request;
}

std::string CodeOf(const Result<CompletionPlan>& plan) {
    return plan.ok() ? "" : plan.error().code();
}

TEST(PlanCompletion, EtagIsTheHashOfHashes) {
    const std::vector<PartRecord> parts{Part(1, kBig, "hello"), Part(2, 1, "world")};
    const auto plan = PlanCompletion(Upload("", "", false), parts, Listing(parts));
    ASSERT_TRUE(plan.ok()) << plan.error().message();
    // md5(md5("hello") + md5("world")), from md5sum.
    EXPECT_EQ(plan->etag, "065947336a2f2a95ba8899f3675c3be6-2");
    EXPECT_EQ(plan->size, kBig + 1);
    EXPECT_TRUE(plan->unlisted.empty());
}

TEST(PlanCompletion, ListMustBeOrderedKnownAndRight) {
    const std::vector<PartRecord> parts{Part(1, kBig), Part(3, kBig), Part(5, 7)};
    const UploadRecord upload = Upload("", "", false);
    EXPECT_EQ(CodeOf(PlanCompletion(upload, parts, {})), "MalformedXML");
    CompletionRequest request = Listing(parts);
    std::swap(request.parts[0], request.parts[1]);
    EXPECT_EQ(CodeOf(PlanCompletion(upload, parts, request)), "InvalidPartOrder");
    request = Listing(parts);
    request.parts[1].number = 1;
    EXPECT_EQ(CodeOf(PlanCompletion(upload, parts, request)), "InvalidPartOrder");
    request = Listing(parts);
    request.parts[1].number = 2;
    EXPECT_EQ(CodeOf(PlanCompletion(upload, parts, request)), "InvalidPart");
    request = Listing(parts);
    request.parts[1].etag = codec::Md5Hex("other");
    EXPECT_EQ(CodeOf(PlanCompletion(upload, parts, request)), "InvalidPart");
    request = Listing(parts);
    request.parts.push_back({6, "x", {}});
    EXPECT_EQ(CodeOf(PlanCompletion(upload, parts, request)), "InvalidPart");
}

TEST(PlanCompletion, OnlyTheLastPartMayBeSmall) {
    const UploadRecord upload = Upload("", "", false);
    std::vector<PartRecord> parts{Part(1, kBig), Part(2, kBig - 1), Part(3, 0)};
    EXPECT_EQ(CodeOf(PlanCompletion(upload, parts, Listing(parts))), "EntityTooSmall");
    parts[1].size = kBig;
    EXPECT_EQ(CodeOf(PlanCompletion(upload, parts, Listing(parts))), "");
}

TEST(PlanCompletion, PartsThatAreNotListedAreNamed) {
    const UploadRecord upload = Upload("", "", false);
    const std::vector<PartRecord> parts{Part(1, 1), Part(2, kBig), Part(4, 9), Part(9, 1)};
    const auto plan = PlanCompletion(upload, parts, Listing({parts[1], parts[2]}));
    ASSERT_TRUE(plan.ok());
    EXPECT_EQ(plan->unlisted, (std::vector<size_t>{0, 3}));
    EXPECT_EQ(plan->size, kBig + 9);
}

TEST(PlanCompletion, FullObjectChecksumIsThatOfAllBytes) {
    const std::string first(kBig, 'a');
    const std::string second = "the rest";
    std::vector<PartRecord> parts{Part(1, first.size(), first), Part(2, second.size(), second)};
    const auto whole = [&](const char* algorithm) {
        const auto plan = PlanCompletion(Upload(algorithm, "FULL_OBJECT"), parts, Listing(parts));
        return plan.ok() ? plan->checksum : plan.error().message();
    };
    parts[0].checksums["CRC64NVME"] = codec::ChecksumBase64(codec::Crc64Nvme(first));
    parts[1].checksums["CRC64NVME"] = codec::ChecksumBase64(codec::Crc64Nvme(second));
    parts[0].checksums["CRC32"] = codec::ChecksumBase64(codec::Crc32Fast(first));
    parts[1].checksums["CRC32"] = codec::ChecksumBase64(codec::Crc32Fast(second));
    parts[0].checksums["CRC32C"] = codec::ChecksumBase64(codec::Crc32c(first));
    parts[1].checksums["CRC32C"] = codec::ChecksumBase64(codec::Crc32c(second));
    EXPECT_EQ(whole("CRC64NVME"), codec::ChecksumBase64(codec::Crc64Nvme(first + second)));
    EXPECT_EQ(whole("CRC32"), codec::ChecksumBase64(codec::Crc32Fast(first + second)));
    EXPECT_EQ(whole("CRC32C"), codec::ChecksumBase64(codec::Crc32c(first + second)));
}

TEST(PlanCompletion, CompositeChecksumIsThatOfTheChecksums) {
    std::vector<PartRecord> parts{Part(1, kBig, "a"), Part(2, 1, "b")};
    const std::string a = codec::Sha256Base64("a");
    const std::string b = codec::Sha256Base64("b");
    parts[0].checksums["SHA256"] = a;
    parts[1].checksums["SHA256"] = b;
    const UploadRecord upload = Upload("SHA256", "COMPOSITE");
    CompletionRequest request = Listing(parts);
    const auto plan = PlanCompletion(upload, parts, request);
    ASSERT_TRUE(plan.ok()) << plan.error().message();
    EXPECT_EQ(
        plan->checksum,
        codec::Sha256Base64(*codec::Base64Decode(a) + *codec::Base64Decode(b)) + "-2");
    // Sent by the client, with or without the count.
    request.checksums["SHA256"] = plan->checksum;
    EXPECT_TRUE(PlanCompletion(upload, parts, request).ok());
    request.checksums["SHA256"] = plan->checksum.substr(0, plan->checksum.size() - 2);
    EXPECT_TRUE(PlanCompletion(upload, parts, request).ok());
    request.checksums["SHA256"] = a;
    EXPECT_EQ(CodeOf(PlanCompletion(upload, parts, request)), "BadDigest");
    request = Listing(parts);
    request.checksum_type = "FULL_OBJECT";
    EXPECT_EQ(CodeOf(PlanCompletion(upload, parts, request)), "InvalidRequest");
    request = Listing(parts);
    request.parts[0].checksums.clear();
    EXPECT_EQ(CodeOf(PlanCompletion(upload, parts, request)), "InvalidRequest");
    request = Listing(parts);
    request.parts[0].checksums["SHA256"] = b;
    EXPECT_EQ(CodeOf(PlanCompletion(upload, parts, request)), "InvalidPart");
}

TEST(PlanCompletion, ObjectSizeMustBeRight) {
    const std::vector<PartRecord> parts{Part(1, 5)};
    const UploadRecord upload = Upload("", "", false);
    CompletionRequest request = Listing(parts);
    request.object_size = 5;
    EXPECT_TRUE(PlanCompletion(upload, parts, request).ok());
    for (const int64_t wrong : {4, 6, -5}) {
        request.object_size = wrong;
        EXPECT_EQ(CodeOf(PlanCompletion(upload, parts, request)), "InvalidRequest") << wrong;
    }
}

TEST(ChecksumType, OnlyWhatGoesTogether) {
    EXPECT_TRUE(CheckChecksumType("CRC32", "COMPOSITE").ok());
    EXPECT_TRUE(CheckChecksumType("CRC32C", "FULL_OBJECT").ok());
    EXPECT_TRUE(CheckChecksumType("CRC64NVME", "FULL_OBJECT").ok());
    EXPECT_TRUE(CheckChecksumType("SHA1", "COMPOSITE").ok());
    EXPECT_FALSE(CheckChecksumType("CRC64NVME", "COMPOSITE").ok());
    EXPECT_FALSE(CheckChecksumType("SHA256", "FULL_OBJECT").ok());
    EXPECT_FALSE(CheckChecksumType("MD5", "COMPOSITE").ok());
    EXPECT_TRUE(IsChecksumOf("CRC32", "AAAAAA=="));
    EXPECT_FALSE(IsChecksumOf("CRC32", "AAAAAAAA"));
    EXPECT_FALSE(IsChecksumOf("CRC32", "?"));
}

TEST(CompletionRequest, DigestTellsListsApart) {
    CompletionRequest one;
    one.parts = {{1, "a", {}}, {2, "b", {}}};
    CompletionRequest other;
    other.parts = {{1, "a", {}}, {3, "b", {}}};
    EXPECT_NE(one.PartsDigest(), other.PartsDigest());
    EXPECT_EQ(one.PartsDigest(), CompletionRequest(one).PartsDigest());
}

}  // namespace
}  // namespace hearth::s3
