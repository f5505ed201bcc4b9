#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

// What objects and files have to do with each other in `hearth s3 import` and `hearth s3 export`.
// Pure.
namespace hearth::cli {

// The file below a directory that a key stands for ("a/b.txt"); empty for keys that no file can be
// called: "/a", "a//b", "..", "a/", NUL. So an export stays in its directory.
std::optional<std::string> FileOfKey(std::string_view key);

// By the name's ending; "binary/octet-stream" for others.
std::string_view ContentTypeOf(std::string_view file_name);

// One page of ListObjectsV2 with encoding-type=url.
struct ListedObjects {
    struct Object {
        std::string key;
        uint64_t size = 0;
    };

    std::vector<Object> objects;
    // Of the next page; empty: this is the last one.
    std::string token;
};

ListedObjects ReadListing(std::string_view xml);

// The text of the first element called `name` from `at` on; `at` goes behind it. For answers whose
// texts need no decoding.
std::optional<std::string_view> Element(std::string_view xml, std::string_view name, size_t& at);

}  // namespace hearth::cli
