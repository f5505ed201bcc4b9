#include "storage/keys/key.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <variant>

namespace hearth::storage::keys {
namespace {

std::string Hex(std::string_view bytes) {
    std::string out;
    for (const char c : bytes) {
        out += fmt::format("{:02x}", static_cast<uint8_t>(c));
    }
    return out;
}

bool Contains(const RangeRequest& range, const std::string& key) {
    return key >= range.begin && key < range.end;
}

// Stored data depends on these bytes: a change here needs a new format version and a migration.
TEST(Key, BytesNeverChange) {
    const AccountId account{"123456789012"};
    EXPECT_EQ(
        Hex(Key(account, Region("us-east-1")).Add("lambda").Add("fn").Add("hello")),
        "02313233343536373839303132000275732d656173742d3100"
        "026c616d6264610002666e000268656c6c6f00");
    EXPECT_EQ(
        Hex(Key::AboveAccounts().Add("clock").Add(int64_t{5})),
        "0102636c6f636b00158000000000000005");
    EXPECT_EQ(
        Hex(Key::AboveAccounts().Add(int64_t{-1}).Add(std::string_view("a\0b", 3))),
        "01157fffffffffffffff026100ff6200");
}

TEST(Key, ComponentsComeBack) {
    const Key key = Key(AccountId("1"), Region("r")).Add(std::string_view("\0\xff\0", 3)).Add(-7);
    KeyReader reader(key);
    ASSERT_TRUE(reader.Skip(2).ok());
    EXPECT_EQ(*reader.String(), std::string("\0\xff\0", 3));
    EXPECT_EQ(*reader.Integer(), -7);
    EXPECT_TRUE(reader.AtEnd());
    EXPECT_FALSE(reader.String().ok());
}

TEST(Key, CutKeysAreErrorsNotCrashes) {
    const std::string whole = Key(AccountId("1"), Region("r")).Add("name").Add(77).bytes();
    for (size_t length = 0; length < whole.size(); ++length) {
        KeyReader reader(std::string_view(whole).substr(0, length));
        const bool complete = reader.Skip(2).ok() && reader.String().ok() && reader.Integer().ok();
        EXPECT_FALSE(complete) << length;
    }
}

TEST(Key, ChildrenAreExactlyTheKeysBelow) {
    const Key parent = Key(AccountId("1"), Region("r")).Add("group");
    const RangeRequest children = parent.Children();
    EXPECT_FALSE(Contains(children, parent.bytes()));
    EXPECT_TRUE(Contains(children, Key(parent).Add("").bytes()));
    EXPECT_TRUE(Contains(children, Key(parent).Add("\xff\xff").Add(1).bytes()));
    EXPECT_TRUE(Contains(children, Key(parent).Add(INT64_MAX).bytes()));
    EXPECT_FALSE(Contains(children, Key(AccountId("1"), Region("r")).Add("group2").bytes()));
    EXPECT_FALSE(Contains(
        children, Key(AccountId("1"), Region("r")).Add(std::string_view("group\0", 6)).bytes()));
}

TEST(Key, PrefixAndPagingRanges) {
    const Key parent = Key(AccountId("1"), Region("r")).Add("group");
    const RangeRequest prefixed = parent.ChildrenWithPrefix("ab");
    for (const std::string_view inside : {"ab", "abc", "ab\xff"}) {
        EXPECT_TRUE(Contains(prefixed, Key(parent).Add(inside).bytes())) << inside;
    }
    for (const std::string_view outside : {"a", "aa", "ac", "b"}) {
        EXPECT_FALSE(Contains(prefixed, Key(parent).Add(outside).bytes())) << outside;
    }
    EXPECT_TRUE(Contains(parent.ChildrenWithPrefix(""), Key(parent).Add("x").bytes()));
    const RangeRequest after = parent.ChildrenAfter("ab");
    EXPECT_FALSE(Contains(after, Key(parent).Add("ab").bytes()));
    EXPECT_FALSE(Contains(after, Key(parent).Add("ab").Add("below").bytes()));
    EXPECT_TRUE(Contains(after, Key(parent).Add(std::string_view("ab\0", 3)).bytes()));
    EXPECT_TRUE(Contains(after, Key(parent).Add("abc").bytes()));
    const RangeRequest between = parent.ChildrenBetween(-3, 4);
    EXPECT_TRUE(Contains(between, Key(parent).Add(-3).Add("x").bytes()));
    EXPECT_TRUE(Contains(between, Key(parent).Add(3).bytes()));
    EXPECT_FALSE(Contains(between, Key(parent).Add(4).bytes()));
}

// The order of the bytes is the order of the tuples, for any strings and numbers.
TEST(Key, BytesSortLikeTuples) {
    using Component = std::variant<std::string, int64_t>;
    using Tuple = std::vector<Component>;
    const uint64_t seed = std::random_device{}();
    SCOPED_TRACE(fmt::format("seed {}", seed));
    std::mt19937_64 random(seed);
    const auto random_tuple = [&] {
        Tuple tuple;
        for (size_t n = random() % 4; n > 0; --n) {
            if (random() % 2 == 0) {
                std::string text;
                for (size_t i = random() % 4; i > 0; --i) {
                    constexpr char kAlphabet[] = {'\0', '\1', 'a', '\xfe', '\xff'};
                    text.push_back(kAlphabet[random() % 5]);
                }
                tuple.emplace_back(text);
            } else {
                const auto number = static_cast<int64_t>(random());
                tuple.emplace_back(random() % 2 == 0 ? number : number % 3);
            }
        }
        return tuple;
    };
    const auto encode = [](const Tuple& tuple) {
        Key key = Key::AboveAccounts();
        for (const Component& component : tuple) {
            if (const auto* text = std::get_if<std::string>(&component)) {
                key.Add(*text);
            } else {
                key.Add(std::get<int64_t>(component));
            }
        }
        return key.bytes();
    };
    // char compares signed; tuples must compare as bytes.
    const auto less = [](const Tuple& a, const Tuple& b) {
        return std::lexicographical_compare(
            a.begin(), a.end(), b.begin(), b.end(), [](const Component& x, const Component& y) {
                if (x.index() != y.index()) {
                    return x.index() < y.index();
                }
                if (const auto* text = std::get_if<std::string>(&x)) {
                    return text->compare(std::get<std::string>(y)) < 0;
                }
                return std::get<int64_t>(x) < std::get<int64_t>(y);
            });
    };
    for (int i = 0; i < 20'000; ++i) {
        const Tuple a = random_tuple();
        const Tuple b = random_tuple();
        ASSERT_EQ(less(a, b), encode(a) < encode(b)) << Hex(encode(a)) << " " << Hex(encode(b));
    }
}

}  // namespace
}  // namespace hearth::storage::keys
