// Generated from models/shelf.json (invented, covers every trait that the generator knows, botocore 0.0.1) by tools/modelgen. Do not edit.
#pragma once

#include "base/clock.h"
#include "gen/shelf/types_fwd.gen.h"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace hearth::shelf::model {

struct Book {
    std::optional<std::string> title;
    std::shared_ptr<Book> sequel;
    std::optional<int32_t> pages;

    bool operator==(const Book&) const = default;
};

struct CreateShelfInput {
    std::optional<std::string> shelf_name;
    std::optional<std::string> kms_key_arn;
    std::optional<int32_t> height;
    std::optional<double> weight;
    std::optional<int64_t> serial;
    std::optional<bool> open;
    std::optional<WallClock::time_point> since;
    std::optional<WallClock::time_point> since_text;
    std::optional<std::string> label;
    std::optional<std::vector<std::string>> colours;
    std::optional<std::vector<Book>> books;
    std::optional<std::map<std::string, std::string>> notes;
    std::optional<std::string> secret;
    std::optional<std::string> default_;
    std::optional<std::string> client_token;

    bool operator==(const CreateShelfInput&) const = default;
};

struct Shelf {
    std::optional<std::string> shelf_name;
    std::optional<int32_t> height;
    std::optional<double> weight;
    std::optional<int64_t> serial;
    std::optional<bool> open;
    std::optional<WallClock::time_point> since;
    std::optional<WallClock::time_point> since_text;
    std::optional<std::string> label;
    std::optional<std::vector<std::string>> colours;
    std::optional<std::vector<Book>> books;
    std::optional<std::map<std::string, std::string>> notes;

    bool operator==(const Shelf&) const = default;
};

struct ShelfInput {
    std::optional<std::string> shelf_name;

    bool operator==(const ShelfInput&) const = default;
};

struct GetPageInput {
    std::optional<std::string> shelf_name;
    std::optional<std::string> path;
    std::optional<WallClock::time_point> since;

    bool operator==(const GetPageInput&) const = default;
};

struct GetPageOutput {
    std::optional<std::string> body;
    std::optional<int32_t> status;
    std::optional<std::string> note;
    std::optional<WallClock::time_point> changed;

    bool operator==(const GetPageOutput&) const = default;
};

struct ListShelvesInput {
    std::optional<int32_t> max_items;
    std::optional<std::vector<std::string>> tags;
    std::optional<bool> full;

    bool operator==(const ListShelvesInput&) const = default;
};

struct ListShelvesOutput {
    std::optional<std::vector<Shelf>> shelves;
    std::optional<std::string> marker;

    bool operator==(const ListShelvesOutput&) const = default;
};

struct PutPageInput {
    std::optional<std::string> shelf_name;
    std::optional<std::string> path;
    std::optional<Book> page;
    std::optional<std::string> mode;

    bool operator==(const PutPageInput&) const = default;
};

struct PutPageOutput {
    std::optional<Book> page;

    bool operator==(const PutPageOutput&) const = default;
};

struct RenameShelfInput {
    std::optional<std::string> shelf_name;
    std::optional<std::string> new_name;

    bool operator==(const RenameShelfInput&) const = default;
};

struct PageRead {
    std::optional<std::string> body;

    bool operator==(const PageRead&) const = default;
};

struct ShelfClosed {
    std::optional<std::string> why;
    std::optional<int32_t> pages;

    bool operator==(const ShelfClosed&) const = default;
};

struct ShelfEvents {
    std::optional<PageRead> read;
    std::optional<ShelfClosed> closed;

    bool operator==(const ShelfEvents&) const = default;
};

struct WatchShelfOutput {
    std::optional<ShelfEvents> events;
    std::optional<std::string> note;

    bool operator==(const WatchShelfOutput&) const = default;
};

struct DeleteShelfOutput {
    bool operator==(const DeleteShelfOutput&) const = default;
};

struct PingInput {
    bool operator==(const PingInput&) const = default;
};

struct PingOutput {
    bool operator==(const PingOutput&) const = default;
};

struct SpecialShelfOutput {
    bool operator==(const SpecialShelfOutput&) const = default;
};

}  // namespace hearth::shelf::model
