#include "vmm/mmds/data_store.h"

#include <gtest/gtest.h>

namespace hearth::vmm {
namespace {

constexpr std::string_view kPeople =
    R"({"name":{"second":"Doe","first":"John"},"age":43,"phones":["+401","+441"],"member":false,)"
    R"("nothing":null,"a/b":{"m~n":"odd"}})";

codec::Json Json(std::string_view text) {
    return codec::ParseJson(text).value();
}

MmdsDataStore People() {
    MmdsDataStore store(51'200);
    EXPECT_TRUE(store.Put(Json(kPeople)).ok());
    return store;
}

std::string Read(const MmdsDataStore& store, std::string_view path, MmdsFormat format) {
    const auto value = store.Read(path, format);
    return value.ok() ? *value : "error: " + value.error().message();
}

TEST(MmdsDataStore, IsEmptyAtFirst) {
    MmdsDataStore store(100);
    EXPECT_EQ(store.Text(), "{}");
    EXPECT_EQ(store.Patch(Json("{}")).error().message(), "The MMDS data store is not initialized.");
}

TEST(MmdsDataStore, ReadsByPathInBothFormats) {
    const auto store = People();
    EXPECT_EQ(Read(store, "/name", MmdsFormat::kJson), R"({"first":"John","second":"Doe"})");
    EXPECT_EQ(Read(store, "/name/", MmdsFormat::kImds), "first\nsecond");
    EXPECT_EQ(Read(store, "/name/first", MmdsFormat::kImds), "John");
    EXPECT_EQ(Read(store, "/name/first", MmdsFormat::kJson), "\"John\"");
    EXPECT_EQ(Read(store, "/age", MmdsFormat::kJson), "43");
    EXPECT_EQ(Read(store, "/phones/1", MmdsFormat::kImds), "+441");
    EXPECT_EQ(Read(store, "/a~1b/m~0n", MmdsFormat::kImds), "odd");
    EXPECT_EQ(Read(store, "/", MmdsFormat::kImds), "a/b/\nage\nmember\nname/\nnothing\nphones");
    const std::string none = "error: The MMDS resource does not exist.";
    for (const auto* path :
         {"/none", "/name/first/x", "/phones/2", "/phones/01", "/phones/-", "//"}) {
        EXPECT_EQ(Read(store, path, MmdsFormat::kJson), none) << path;
    }
    for (const auto* path : {"/age", "/phones", "/member"}) {
        EXPECT_EQ(
            Read(store, path, MmdsFormat::kImds),
            "error: Cannot retrieve value. The value has an unsupported type.")
            << path;
    }
}

TEST(MmdsDataStore, PatchIsAMerge) {
    auto store = People();
    EXPECT_TRUE(
        store.Patch(Json(R"({"name":{"first":null,"third":{"x":1}},"age":"44","phones":null})"))
            .ok());
    EXPECT_EQ(Read(store, "/name", MmdsFormat::kJson), R"({"second":"Doe","third":{"x":1}})");
    EXPECT_EQ(Read(store, "/age", MmdsFormat::kJson), "\"44\"");
    EXPECT_FALSE(store.Read("/phones", MmdsFormat::kJson).ok());
    EXPECT_TRUE(store.Patch(Json("5")).ok());
    EXPECT_EQ(store.Text(), "5");
}

TEST(MmdsDataStore, WhatDoesNotFitChangesNothing) {
    MmdsDataStore store(20);
    EXPECT_TRUE(store.Put(Json(R"({"a":"b"})")).ok());
    const auto status = store.Patch(Json(R"({"c":"0123456789"})"));
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(status.error().http_status(), 413);
    EXPECT_EQ(status.error().message(), "The MMDS patch request doesn't fit.");
    EXPECT_EQ(store.Text(), R"({"a":"b"})");
}

TEST(TokenAuthority, HashIsSipHash) {
    std::array<std::uint8_t, 16> key{};
    for (std::uint8_t i = 0; i < 16; ++i) {
        key[i] = i;
    }
    // The first of the reference implementation's 128-bit vectors: no input.
    const std::array<std::uint8_t, 16> expected = {
        0xa3,
        0x81,
        0x7f,
        0x04,
        0xba,
        0x25,
        0xa8,
        0xe6,
        0x6d,
        0xf6,
        0x72,
        0x14,
        0xc7,
        0x55,
        0x02,
        0x93};
    EXPECT_EQ(SipHash128(key, ""), expected);
}

TEST(TokenAuthority, TokensEndAndCannotBeMade) {
    TokenAuthority tokens;
    EXPECT_FALSE(tokens.IsValid("", 0));
    constexpr std::uint64_t kNow = 5'000'000'000;
    const auto token = tokens.Generate(10, kNow);
    ASSERT_TRUE(token.ok());
    EXPECT_EQ(token->size(), 48U);
    EXPECT_TRUE(tokens.IsValid(*token, kNow));
    EXPECT_TRUE(tokens.IsValid(*token, kNow + 9'999'999'999));
    EXPECT_FALSE(tokens.IsValid(*token, kNow + 10'000'000'000));
    EXPECT_NE(*tokens.Generate(10, kNow), *token);
    for (std::size_t i = 0; i < token->size(); ++i) {
        auto forged = *token;
        forged[i] = forged[i] == 'A' ? 'B' : 'A';
        EXPECT_FALSE(tokens.IsValid(forged, kNow)) << i;
    }
    EXPECT_FALSE(tokens.IsValid(std::string(10'000, 'A'), kNow));
    tokens.SetScope("another");
    EXPECT_FALSE(tokens.IsValid(*token, kNow));
}

TEST(TokenAuthority, LifetimesHaveBounds) {
    TokenAuthority tokens;
    EXPECT_TRUE(tokens.Generate(1, 0).ok());
    EXPECT_TRUE(tokens.Generate(21'600, 0).ok());
    EXPECT_EQ(
        tokens.Generate(0, 0).error().message(),
        "Invalid time to live value provided for token: 0. Please provide a value between 1 and "
        "21600.");
    EXPECT_FALSE(tokens.Generate(21'601, 0).ok());
}

}  // namespace
}  // namespace hearth::vmm
