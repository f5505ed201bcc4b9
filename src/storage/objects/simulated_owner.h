#pragma once

#include "codec/crypto/master_key.h"
#include "rt/loops.h"
#include "storage/kv.h"
#include "storage/objects/object_bodies.h"

#include <fmt/format.h>

#include <functional>
#include <map>
#include <random>
#include <string>
#include <string_view>
#include <vector>

// An owner of bodies for tests of what is left after cuts of power: bytes that a number names, kept
// under slots.
namespace hearth::storage {

inline std::string BytesOf(uint64_t number) {
    std::mt19937_64 random(number);
    std::string bytes(random() % 3 == 0 ? random() % 30'000 : random() % 400'000, '\0');
    for (size_t i = 0; i < bytes.size(); i += 97) {
        bytes[i] = static_cast<char>(random());
    }
    return bytes;
}

using Contents = std::map<std::string, std::string>;

inline Contents ContentsOf(Kv& kv) {
    Contents contents;
    const auto page =
        rt::RunTask(kv.Range({.begin = std::string(1, '\0'), .end = "\xff", .limit = 10'000}));
    for (const KeyValue& item : page->items) {
        contents[item.key] = item.value;
    }
    return contents;
}

// An owner of bodies as S3 is one: slot names, each with one or several bodies.
class Owner final {
  public:
    Owner(Kv& kv, ObjectBodies& bodies) : kv_(kv), bodies_(bodies) {}

    // `committed` is called between the commit and what follows from it.
    Task<Status> Put(
        std::string slot, std::vector<uint64_t> numbers, std::function<Task<void>()> committed) {
        std::vector<FinishedBody> finished;
        for (const uint64_t number : numbers) {
            BodyOptions options;
            const std::string bytes = BytesOf(number);
            if (number % 2 == 0) {
                options.expected_length = bytes.size();
            }
            HEARTH_CO_TRY(auto sink, co_await bodies_.Create(options));
            HEARTH_CO_RETURN_IF_ERROR(co_await sink->Write(bytes));
            HEARTH_CO_TRY(FinishedBody body, co_await sink->Finish());
            finished.push_back(std::move(body));
        }
        std::vector<StoredBody> old;
        auto commit = [&](Transaction& transaction) -> Task<Status> {
            old.clear();
            HEARTH_CO_TRY(const auto before, co_await transaction.Get(slot));
            if (before) {
                HEARTH_CO_TRY(old, Decode(*before));
                bodies_.Drop(transaction, old);
            }
            std::string record;
            for (size_t i = 0; i < finished.size(); ++i) {
                bodies_.Refer(transaction, finished[i].body(), slot);
                const StoredBody& body = finished[i].body();
                const std::string encoded = body.Encode();
                record += fmt::format(
                    "{} {} {} {}{}",
                    numbers[i],
                    encoded.size(),
                    body.inline_bytes.size(),
                    encoded,
                    body.inline_bytes);
            }
            if (numbers.empty()) {
                transaction.Delete(slot);
            } else {
                transaction.Put(slot, record);
            }
            co_return Status();
        };
        HEARTH_CO_RETURN_IF_ERROR(co_await kv_.Transact(commit));
        co_await committed();
        for (FinishedBody& body : finished) {
            body.Keep();
        }
        bodies_.Dropped(old);
        co_return Status();
    }

    // Whether the slot's bytes are those that its numbers say.
    Task<Status> Check(const std::string& record) {
        std::vector<uint64_t> numbers;
        HEARTH_CO_TRY(const std::vector<StoredBody> stored, Decode(record, &numbers));
        HEARTH_CO_TRY(auto source, co_await bodies_.Open(stored, {}));
        std::string read;
        while (true) {
            HEARTH_CO_TRY(const std::string_view bytes, co_await source->Next());
            if (bytes.empty()) {
                break;
            }
            read += bytes;
        }
        std::string expected;
        for (const uint64_t number : numbers) {
            expected += BytesOf(number);
        }
        if (read != expected) {
            co_return errors::Internal("other bytes");
        }
        co_return Status();
    }

    static Result<std::vector<StoredBody>> Decode(
        std::string_view record, std::vector<uint64_t>* numbers = nullptr) {
        std::vector<StoredBody> bodies;
        while (!record.empty()) {
            size_t fields[3];
            for (size_t& field : fields) {
                const size_t space = record.find(' ');
                field = std::stoull(std::string(record.substr(0, space)));
                record.remove_prefix(space + 1);
            }
            HEARTH_TRY(StoredBody body, StoredBody::Decode(record.substr(0, fields[1])));
            body.inline_bytes = record.substr(fields[1], fields[2]);
            record.remove_prefix(fields[1] + fields[2]);
            bodies.push_back(std::move(body));
            if (numbers != nullptr) {
                numbers->push_back(fields[0]);
            }
        }
        return bodies;
    }

  private:
    Kv& kv_;
    ObjectBodies& bodies_;
};

inline const codec::MasterKey& Key() {
    static const codec::MasterKey key({1, 2, 3});
    return key;
}

}  // namespace hearth::storage
