// What is kept of extensions beside an image: all of it comes back, and nothing else is taken.
#include "services/lambda/saved_extensions.h"

#include "services/lambda/extensions_api.h"
#include "services/lambda/record_codec.h"

#include <gtest/gtest.h>

namespace hearth::lambda {
namespace {

const std::vector<SavedExtension> kTwo = {
    {.name = "inner", .id = "0f8fad5b-d9cb-469f-a165-70867728950e", .events = {"INVOKE"}},
    {.name = "still \xC3\xBC", .id = "7c9e6679-7425-40de-944b-e07fc1f90ae7", .events = {}}};

TEST(SavedExtensions, ComeBackAsTheyWere) {
    const auto decoded = DecodeSavedExtensions(EncodeSavedExtensions(kTwo));
    ASSERT_TRUE(decoded.ok());
    EXPECT_EQ(*decoded, kTwo);
}

TEST(SavedExtensions, NoneAreNothing) {
    EXPECT_EQ(EncodeSavedExtensions({}), "");
    const auto decoded = DecodeSavedExtensions("");
    ASSERT_TRUE(decoded.ok());
    EXPECT_TRUE(decoded->empty());
}

TEST(SavedExtensions, AnotherFormIsRefused) {
    std::string other = EncodeSavedExtensions(kTwo);
    other[0] = '\x02';
    EXPECT_FALSE(DecodeSavedExtensions(other).ok());

    FieldWriter unknown;
    unknown.Text(2, "x");
    EXPECT_FALSE(DecodeSavedExtensions(unknown.Take()).ok());

    FieldWriter one;
    one.Text(1, "inner");
    one.Text(2, kTwo[0].id);
    one.Text(4, "telemetry");
    FieldWriter list;
    list.Text(1, one.Take());
    EXPECT_FALSE(DecodeSavedExtensions(list.Take()).ok());
}

TEST(SavedExtensions, EveryTruncationIsRefusedOrShorter) {
    const std::string whole = EncodeSavedExtensions(kTwo);
    for (size_t size = 1; size < whole.size(); ++size) {
        const auto decoded = DecodeSavedExtensions(std::string_view(whole).substr(0, size));
        EXPECT_TRUE(!decoded.ok() || decoded->size() < kTwo.size()) << size;
    }
}

TEST(SavedExtensions, MoreThanThereMayBeAreRefused) {
    std::vector<SavedExtension> many(ExtensionsApi::kExtensionsMax + 1, kTwo[0]);
    EXPECT_FALSE(DecodeSavedExtensions(EncodeSavedExtensions(many)).ok());
    many.pop_back();
    EXPECT_TRUE(DecodeSavedExtensions(EncodeSavedExtensions(many)).ok());
}

}  // namespace
}  // namespace hearth::lambda
