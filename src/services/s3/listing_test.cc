#include "services/s3/listing.h"

#include "rt/loops.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>
#include <utility>

namespace hearth::s3 {
namespace {

// Entries in memory that count how much of them was read.
class FakeEntries final : public OrderedEntries {
  public:
    void Add(const std::string& key, const std::string& within = {}) {
        entries_.emplace(std::pair(key, within), "v");
    }

    Task<Result<EntryPage>> From(
        const ListPosition& position, const std::string& end, size_t limit) override {
        ++reads_;
        EntryPage page;
        auto at = entries_.lower_bound({position.key, position.within});
        // A page may be shorter than asked for: storage also bounds its bytes.
        const size_t give = short_pages_ ? std::min<size_t>(limit, 1 + reads_ % 3) : limit;
        for (; at != entries_.end() && (end.empty() || at->first.first < end) &&
               page.entries.size() < give;
             ++at) {
            page.entries.push_back({at->first.first, at->first.second, at->second});
            ++entries_read_;
        }
        page.at_end = at == entries_.end() || (!end.empty() && at->first.first >= end);
        co_return page;
    }

    const std::map<std::pair<std::string, std::string>, std::string>& all() const {
        return entries_;
    }

    size_t reads() const { return reads_; }

    size_t entries_read() const { return entries_read_; }

    void GiveShortPages() { short_pages_ = true; }

  private:
    std::map<std::pair<std::string, std::string>, std::string> entries_;
    size_t reads_ = 0;
    size_t entries_read_ = 0;
    bool short_pages_ = false;
};

Listing MustList(OrderedEntries& entries, ListQuery query) {
    const Result<Listing> listing = rt::RunTask(List(entries, std::move(query)));
    EXPECT_TRUE(listing.ok());
    return listing.ok() ? *listing : Listing();
}

// Entries as "key" or "key#within", common prefixes as "key>", as one list in order.
std::vector<std::string> Shown(const Listing& listing) {
    std::vector<std::pair<std::string, std::string>> all;
    for (const ListEntry& entry : listing.entries) {
        all.emplace_back(entry.key, entry.within.empty() ? "" : "#" + entry.within);
    }
    for (const std::string& prefix : listing.common_prefixes) {
        all.emplace_back(prefix, ">");
    }
    std::sort(all.begin(), all.end());
    std::vector<std::string> shown;
    for (const auto& [key, mark] : all) {
        shown.push_back(key + mark);
    }
    return shown;
}

// What a list is, without any cleverness.
std::vector<std::string> Naive(
    const FakeEntries& entries, const std::string& prefix, const std::string& delimiter) {
    std::vector<std::string> shown;
    std::set<std::string> prefixes;
    for (const auto& [at, value] : entries.all()) {
        const auto& [key, within] = at;
        if (!key.starts_with(prefix)) {
            continue;
        }
        const size_t found =
            delimiter.empty() ? std::string::npos : key.find(delimiter, prefix.size());
        if (found == std::string::npos) {
            shown.push_back(key + (within.empty() ? "" : "#" + within));
        } else if (const auto common = key.substr(0, found + delimiter.size());
                   prefixes.insert(common).second) {
            shown.push_back(common + ">");
        }
    }
    return shown;
}

TEST(Listing, DelimiterRollsKeysUp) {
    FakeEntries entries;
    for (const char* key : {"a", "photos/1", "photos/2", "photos/x/3", "z"}) {
        entries.Add(key);
    }
    EXPECT_EQ(
        Shown(MustList(entries, {.delimiter = "/"})),
        (std::vector<std::string>{"a", "photos/>", "z"}));
    EXPECT_EQ(
        Shown(MustList(entries, {.prefix = "photos/", .delimiter = "/"})),
        (std::vector<std::string>{"photos/1", "photos/2", "photos/x/>"}));
}

TEST(Listing, TruncatedOnlyWhenSomethingFollows) {
    FakeEntries entries;
    entries.Add("a");
    entries.Add("b/1");
    entries.Add("b/2");
    const Listing exact = MustList(entries, {.delimiter = "/", .entries_max = 2});
    EXPECT_FALSE(exact.truncated) << "what remains belongs to the prefix that was listed";
    EXPECT_TRUE(MustList(entries, {.entries_max = 2}).truncated);
    EXPECT_FALSE(MustList(entries, {.entries_max = 3}).truncated);
    EXPECT_FALSE(MustList(entries, {.entries_max = 0}).truncated);
    EXPECT_FALSE(MustList(entries, {.prefix = "a", .entries_max = 1}).truncated);
}

TEST(Listing, MarkerInsideACommonPrefixKeepsThePrefix) {
    FakeEntries entries;
    for (const char* key : {"photos/1", "photos/2", "z"}) {
        entries.Add(key);
    }
    const auto after = [&](const char* marker) {
        return Shown(MustList(entries, {.delimiter = "/", .from = AfterMarker(marker, "", "/")}));
    };
    EXPECT_EQ(after("photos/1"), (std::vector<std::string>{"photos/>", "z"}));
    EXPECT_EQ(after("photos/2"), (std::vector<std::string>{"z"}));
    EXPECT_EQ(after("photos/"), (std::vector<std::string>{"z"}));
    EXPECT_EQ(after("photos"), (std::vector<std::string>{"photos/>", "z"}));
}

TEST(Listing, CommonPrefixesAreSkippedNotScanned) {
    FakeEntries entries;
    for (int prefix = 0; prefix < 10; ++prefix) {
        for (int key = 0; key < 10'000; ++key) {
            entries.Add("p" + std::to_string(prefix) + "/" + std::to_string(key));
        }
    }
    const Listing listing = MustList(entries, {.delimiter = "/"});
    EXPECT_EQ(listing.common_prefixes.size(), 10u);
    EXPECT_FALSE(listing.truncated);
    EXPECT_LE(entries.reads(), 11u);
    EXPECT_LE(entries.entries_read(), 50u);
}

TEST(Listing, ManySmallPrefixesNeedFewReads) {
    FakeEntries entries;
    for (int prefix = 0; prefix < 2'000; ++prefix) {
        entries.Add("p" + std::to_string(prefix) + "/x");
    }
    EXPECT_EQ(MustList(entries, {.delimiter = "/"}).common_prefixes.size(), 1'000u);
    EXPECT_LE(entries.entries_read(), 5'000u);
}

TEST(Listing, PagesOfAnySizeGiveTheWholeList) {
    const uint32_t seed = std::random_device()();
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937 random(seed);
    const auto below = [&](uint32_t n) { return static_cast<uint32_t>(random() % n); };
    const auto text = [&](uint32_t length_max) {
        // Few letters, so that prefixes and delimiters meet; the greatest and the smallest bytes
        // that keys can have.
        static const std::string kLetters("ab/\x00\xf4", 5);
        std::string made;
        for (uint32_t length = below(length_max + 1); length > 0; --length) {
            made.push_back(kLetters[below(static_cast<uint32_t>(kLetters.size()))]);
        }
        return made;
    };
    for (int round = 0; round < 400; ++round) {
        FakeEntries entries;
        if (below(2) == 0) {
            entries.GiveShortPages();
        }
        const bool versions = below(2) == 0;
        for (uint32_t count = below(60); count > 0; --count) {
            const std::string key = "k" + text(5);
            for (uint32_t within = versions ? 1 + below(3) : 1; within > 0; --within) {
                entries.Add(key, versions ? std::string(1, static_cast<char>('0' + below(8))) : "");
            }
        }
        const std::string prefix = below(2) == 0 ? "" : "k" + text(2);
        const std::string delimiter = below(3) == 0 ? "" : text(2);
        const std::vector<std::string> expected = Naive(entries, prefix, delimiter);
        for (const size_t size : {size_t{1}, size_t{2}, size_t{3}, size_t{7}, size_t{1'000}}) {
            std::vector<std::string> got;
            ListPosition from;
            for (size_t pages = 0; pages <= expected.size() + 1; ++pages) {
                const Listing listing = MustList(
                    entries,
                    {.prefix = prefix, .delimiter = delimiter, .entries_max = size, .from = from});
                const auto shown = Shown(listing);
                EXPECT_LE(shown.size(), size);
                got.insert(got.end(), shown.begin(), shown.end());
                EXPECT_EQ(listing.truncated, got.size() < expected.size());
                if (!listing.truncated) {
                    break;
                }
                from = listing.last_within.empty()
                           ? AfterMarker(listing.last_key, prefix, delimiter)
                           : AfterEntry(listing.last_key, listing.last_within);
            }
            ASSERT_EQ(got, expected) << "page size " << size;
        }
    }
}

TEST(ContinuationToken, OnlyOwnTokensAreRead) {
    const std::string marker("a/\xc3\xa4\0b", 6);
    const std::string token = EncodeContinuationToken(marker);
    const auto read = DecodeContinuationToken(token);
    ASSERT_TRUE(read.ok());
    EXPECT_EQ(*read, marker);
    for (const char* bad : {"", "a", "%%%", "AAAA", "AQAAAABh"}) {
        EXPECT_FALSE(DecodeContinuationToken(bad).ok()) << bad;
    }
}

}  // namespace
}  // namespace hearth::s3
