#pragma once

#include "base/result.h"
#include "rt/task.h"
#include "storage/kv.h"
#include "storage/objects/stored_body.h"

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

// The bytes of objects, apart from what is known of them: written and read as they flow, sealed and
// hashed on the way, small ones kept in the store's own values and the others as files.
//
// The life of a body, with the owner's record (an object, a part) in the same transactions:
//   auto sink = co_await bodies.Create({...});            write: sink->Space, sink->Filled, ...
//   auto finished = co_await sink->Finish();              its bytes are durable, and nobody's
//   kv.Transact: put the record; bodies.Refer(tx, finished->body(), owner);
//                replaced one: bodies.Drop(tx, old_bodies);
//   finished->Keep();  bodies.Dropped(old_bodies);        after the commit
// Guarantee: after any crash, each body has a record that refers to it or is removed, and no record
// refers to a body that is not whole. No step looks at all bodies.
//
// Errors' codes, for owners who translate them:
//   kDiskFull          (kUnavailable) no room; what was written of this body is gone
//   kBodyGone          (kNotFound) dropped since the record was read: read the record again
//   kBodyDamaged       (kInternal) the disk returned other bytes than were written
//   kWrongCustomerKey  (kDenied)
namespace hearth {

class Random;

namespace codec {
class MasterKey;
}

}  // namespace hearth

namespace hearth::storage {

inline constexpr char kDiskFull[] = "DiskFull";
inline constexpr char kBodyGone[] = "BodyGone";
inline constexpr char kBodyDamaged[] = "BodyDamaged";
inline constexpr char kWrongCustomerKey[] = "WrongCustomerKey";

using CustomerKey = std::array<uint8_t, 32>;

// Which hashes to make of the bytes on the way.
struct BodyHashes {
    bool md5 = false;
    bool crc32 = false;
    bool crc32c = false;
    bool crc64nvme = false;
    bool sha1 = false;
    bool sha256 = false;
};

// The ones asked for.
struct BodyDigests {
    std::optional<std::array<uint8_t, 16>> md5;
    std::optional<uint32_t> crc32;
    std::optional<uint32_t> crc32c;
    std::optional<uint64_t> crc64nvme;
    std::optional<std::array<uint8_t, 20>> sha1;
    std::optional<std::array<uint8_t, 32>> sha256;
};

struct BodyOptions {
    // Asks for kCustomer when it has a value.
    std::optional<CustomerKey> customer_key;
    // Advice for buffers and room; the body may become longer or shorter.
    std::optional<uint64_t> expected_length;
    BodyHashes hashes{.md5 = true};
    // Never in the store's values, however small.
    bool always_file = false;
    // The archives are compressed.
    BodyTier tier = BodyTier::kStandard;
};

// A body that is whole and durable but belongs to nobody yet. Destroyed without Keep or Leave it is
// removed, in the background.
class FinishedBody final {
  public:
    class Fate {
      public:
        virtual ~Fate() = default;
        virtual void Keep() = 0;
        virtual void Leave() = 0;
    };

    FinishedBody(StoredBody body, BodyDigests digests, std::unique_ptr<Fate> fate)
        : body_(std::move(body)), digests_(std::move(digests)), fate_(std::move(fate)) {}

    const StoredBody& body() const { return body_; }

    const BodyDigests& digests() const { return digests_; }

    // The transaction that refers to it was committed.
    void Keep() { End(&Fate::Keep); }

    // Nobody knows whether it was (error kUnavailable, "Unknown"): the next start finds out.
    void Leave() { End(&Fate::Leave); }

  private:
    void End(void (Fate::*end)()) {
        if (fate_ != nullptr) {
            ((*fate_).*end)();
            fate_.reset();
        }
    }

    StoredBody body_;
    BodyDigests digests_;
    // Null for inline bodies, which are where their record is. Removes the body when it ends first.
    std::unique_ptr<Fate> fate_;
};

// A body on its way in, on one loop. Destroyed before Finish it never was. Hashing, sealing and
// writing run beside the caller; it waits when it is ahead by more than its two buffers.
class BodySink {
  public:
    virtual ~BodySink() = default;

    // Room for the next bytes (never empty), so that nothing is copied: read into it, then say how
    // much was taken. The room is good until the next call. Errors of earlier writes show here.
    virtual Task<Result<std::span<char>>> Space() = 0;
    virtual void Filled(size_t bytes) = 0;
    // As the two above, with a copy.
    virtual Task<Status> Write(std::string_view bytes) = 0;
    // Once; then the sink is only good for destruction.
    virtual Task<Result<FinishedBody>> Finish() = 0;

    virtual uint64_t bytes_written() const = 0;
};

// Bytes on their way out, on one loop. The next ones are read and opened while the caller sends
// these. Goes on whole when the bodies are dropped meanwhile.
class BodySource {
  public:
    virtual ~BodySource() = default;

    // The next bytes, at most 256 KiB, good until the next call; empty at the end. Everything it
    // returns is what was written: damage is an error first.
    virtual Task<Result<std::string_view>> Next() = 0;
};

struct OpenOptions {
    uint64_t offset = 0;
    // Up to the end without a value; a range that does not lie within is a bug of the caller.
    std::optional<uint64_t> length;
    std::optional<CustomerKey> customer_key;
};

// What Check saw of a body that is whole.
struct BodyCheck {
    uint64_t bytes = 0;
    // It is on nine disks, of which some had lost their share and have it again.
    bool mended = false;
};

// Safe from any loop.
class ObjectBodies {
  public:
    virtual ~ObjectBodies() = default;

    virtual Task<Result<std::unique_ptr<BodySink>>> Create(BodyOptions options) = 0;

    // `bodies` one behind the other: all of an object, also where only a range is read. The first
    // bytes are read before this returns.
    virtual Task<Result<std::unique_ptr<BodySource>>> Open(
        std::vector<StoredBody> bodies, OpenOptions options) = 0;

    // Makes a record's claim to the body part of the transaction: one small key, none when inline.
    // Again with another `owner` (when an upload's part becomes an object's) is allowed and not
    // needed. `owner`: a few words for people and for the report of damage, such as bucket and key.
    virtual void Refer(
        Transaction& transaction, const StoredBody& body, std::string_view owner) = 0;
    // Gives up bodies in the transaction: one key, however many. All of an object at once, as it
    // was opened.
    virtual void Drop(Transaction& transaction, const std::vector<StoredBody>& bodies) = 0;
    // After that transaction's commit, to give the room back now; a crash in between does it at the
    // next start.
    virtual void Dropped(const std::vector<StoredBody>& bodies) = 0;

    // A copy of the body in another tier, to be claimed in the transaction that drops this one. A
    // small body stays in the store: it comes back as it is, and so does one in the tier already
    // (then there is nothing to drop).
    //   errors  kWrongCustomerKey: only who has the key can move it
    virtual Task<Result<FinishedBody>> Move(
        const StoredBody& body, BodyTier tier, std::optional<CustomerKey> customer_key) = 0;

    // Reads the file of a body, at most so many bytes a second (0: as fast as it goes), compares it
    // with its check sums, and mends what can be mended. Needs no keys. Not for inline ones, whose
    // bytes the store checks.
    //   errors  kBodyDamaged; kBodyGone: there is no file; kUnavailable: stopping; what the disk
    //   says
    virtual Task<Result<BodyCheck>> Check(const StoredBody& body, uint64_t bytes_per_second) = 0;

    // Whether `key` is the one the body was written with; true for bodies without one.
    virtual bool IsCustomerKey(const StoredBody& body, const CustomerKey& key) const = 0;

    // Removes what earlier processes left behind, in the background, and begins to give room back.
    // Bodies can be made and read before. On a loop; Stop on the same one.
    virtual Task<Status> Start() = 0;
    virtual Task<void> Stop() = 0;
};

struct ObjectBodiesOptions {
    // Made when missing; relative to the data directory, which is the working directory.
    std::string directory = "objects";
    // Off with relaxed durability: bodies then survive kill -9, not a power cut.
    bool sync = true;
    // Off: what has no customer's key is written as it is.
    bool encrypt = true;
    // Where the bodies of colder tiers lie; none: a folder of `directory`.
    std::string infrequent_directory;
    std::string archive_directory;
    // One, or nine of which any three may be lost; the name of one that is known to be is empty.
    std::vector<std::string> deep_directories;
    // Up to this many bytes a body is kept in the store. 0: only empty ones.
    size_t inline_bytes_max = size_t{16} << 10;
};

// The references must outlive what is opened.
Result<std::unique_ptr<ObjectBodies>> OpenObjectBodies(
    Kv& kv, const codec::MasterKey& master_key, Random& random, ObjectBodiesOptions options = {});

}  // namespace hearth::storage
