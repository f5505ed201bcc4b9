#include "codec/base64/base64.h"

#include <gtest/gtest.h>

namespace hearth::codec {
namespace {

TEST(Base64, VectorsOfRfc4648) {
    const std::pair<std::string_view, std::string_view> kVectors[] = {
        {"", ""},
        {"f", "Zg=="},
        {"fo", "Zm8="},
        {"foo", "Zm9v"},
        {"foob", "Zm9vYg=="},
        {"fooba", "Zm9vYmE="},
        {"foobar", "Zm9vYmFy"},
    };
    for (const auto& [bytes, text] : kVectors) {
        EXPECT_EQ(Base64Encode(bytes), text);
        EXPECT_EQ(*Base64Decode(text), bytes);
    }
}

TEST(Base64, AllByteValuesComeBack) {
    std::string bytes;
    for (int i = 0; i < 256; ++i) {
        bytes.push_back(static_cast<char>(i));
        EXPECT_EQ(*Base64Decode(Base64Encode(bytes)), bytes);
    }
}

TEST(Base64, RefusesWhatIsNotCanonical) {
    for (const std::string_view text :
         {"Z",
          "Zg",
          "Zg=",
          "Zh==",
          "Zm9=",
          "Z===",
          "====",
          "=",
          "Zm 9",
          "Zm9v\n",
          "Zm=v",
          "Zm-_"}) {
        EXPECT_FALSE(Base64Decode(text).ok()) << text;
    }
}

}  // namespace
}  // namespace hearth::codec
