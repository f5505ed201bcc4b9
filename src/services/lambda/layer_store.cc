#include "services/lambda/layer_store.h"

#include "services/lambda/record_codec.h"
#include "storage/keys/key.h"

#include <limits>

namespace hearth::lambda {
namespace {

using storage::keys::Key;
using storage::keys::KeyReader;

// Never reused, never renumbered.
enum Number : uint8_t {
    kDescription = 1,
    kLicense = 2,
    kHasRuntimes = 3,
    kRuntime = 4,  // one field each, as architectures and statements
    kHasArchitectures = 5,
    kArchitecture = 6,
    kCreated = 7,
    kCodeBlob = 8,
    kCodeSha256 = 9,
    kCodeSize = 10,
    kUnzippedSize = 11,
    kStatement = 12,
    kPolicyRevision = 13,
};

// account, region, "lambda", kind
constexpr size_t kRootComponents = 4;

Key Root(const AccountId& account, const Region& region, std::string_view kind) {
    return Key(account, region).Add("lambda").Add(kind);
}

Key LayerKeyOf(const LayerKey& key) {
    return Root(key.account, key.region, "layer").Add(key.name);
}

Key VersionsKey(const LayerKey& key) {
    return Root(key.account, key.region, "layer-version").Add(key.name);
}

// LayerStatement: 1 id, 2 principal, 3 organization.
std::string EncodeStatement(const LayerStatement& statement) {
    FieldWriter writer;
    writer.Text(1, statement.id);
    writer.Text(2, statement.principal);
    writer.Text(3, statement.organization);
    return writer.Take();
}

Result<LayerStatement> DecodeStatement(std::string_view bytes) {
    LayerStatement statement;
    HEARTH_TRY(FieldReader reader, FieldReader::Open(bytes));
    for (;;) {
        HEARTH_TRY(const auto field, reader.Next());
        if (!field) {
            return statement;
        }
        if (field->number == 1) {
            statement.id = field->bytes;
        } else if (field->number == 2) {
            statement.principal = field->bytes;
        } else if (field->number == 3) {
            statement.organization = field->bytes;
        }
    }
}

}  // namespace

std::string EncodeLayerVersion(const LayerVersionRecord& record) {
    FieldWriter writer;
    writer.Text(kDescription, record.description);
    if (record.license) {
        writer.Text(kLicense, *record.license);
    }
    if (record.runtimes) {
        writer.Text(kHasRuntimes, "");
        for (const std::string& runtime : *record.runtimes) {
            writer.Text(kRuntime, runtime);
        }
    }
    if (record.architectures) {
        writer.Text(kHasArchitectures, "");
        for (const std::string& architecture : *record.architectures) {
            writer.Text(kArchitecture, architecture);
        }
    }
    writer.Integer(kCreated, UnixMs(record.created));
    writer.Text(kCodeBlob, record.code_blob);
    writer.Text(kCodeSha256, record.code_sha256);
    writer.Integer(kCodeSize, record.code_size);
    writer.Integer(kUnzippedSize, record.unzipped_size);
    for (const LayerStatement& statement : record.statements) {
        writer.Text(kStatement, EncodeStatement(statement));
    }
    writer.Text(kPolicyRevision, record.policy_revision);
    return writer.Take();
}

Result<LayerVersionRecord> DecodeLayerVersion(std::string_view bytes, int64_t version) {
    LayerVersionRecord record;
    record.version = version;
    HEARTH_TRY(FieldReader reader, FieldReader::Open(bytes));
    for (;;) {
        HEARTH_TRY(const auto field, reader.Next());
        if (!field) {
            return record;
        }
        switch (field->number) {
            case kDescription:
                record.description = field->bytes;
                break;
            case kLicense:
                record.license = std::string(field->bytes);
                break;
            case kHasRuntimes:
                record.runtimes.emplace();
                break;
            case kRuntime:
                if (record.runtimes) {
                    record.runtimes->emplace_back(field->bytes);
                }
                break;
            case kHasArchitectures:
                record.architectures.emplace();
                break;
            case kArchitecture:
                if (record.architectures) {
                    record.architectures->emplace_back(field->bytes);
                }
                break;
            case kCreated: {
                HEARTH_TRY(const int64_t ms, FieldReader::Integer(*field));
                record.created = WallClock::time_point(std::chrono::milliseconds(ms));
                break;
            }
            case kCodeBlob:
                record.code_blob = field->bytes;
                break;
            case kCodeSha256:
                record.code_sha256 = field->bytes;
                break;
            case kCodeSize: {
                HEARTH_TRY(record.code_size, FieldReader::Integer(*field));
                break;
            }
            case kUnzippedSize: {
                HEARTH_TRY(record.unzipped_size, FieldReader::Integer(*field));
                break;
            }
            case kStatement: {
                HEARTH_TRY(LayerStatement statement, DecodeStatement(field->bytes));
                record.statements.push_back(std::move(statement));
                break;
            }
            case kPolicyRevision:
                record.policy_revision = field->bytes;
                break;
            default:
                break;  // written by a newer Hearth
        }
    }
}

// --- transactions

// The layer's record: 1 the number of its next version.
Task<Result<int64_t>> LayerTransaction::NextVersion(const LayerKey& key) {
    HEARTH_CO_TRY(const auto bytes, co_await transaction_.Get(LayerKeyOf(key)));
    int64_t number = 1;
    if (bytes) {
        HEARTH_CO_TRY(FieldReader reader, FieldReader::Open(*bytes));
        for (;;) {
            HEARTH_CO_TRY(const auto field, reader.Next());
            if (!field) {
                break;
            }
            if (field->number == 1) {
                HEARTH_CO_TRY(number, FieldReader::Integer(*field));
            }
        }
    }
    co_return number;
}

void LayerTransaction::PutNextVersion(const LayerKey& key, int64_t number) {
    FieldWriter writer;
    writer.Integer(1, number);
    transaction_.Put(LayerKeyOf(key), writer.Take());
}

Task<Result<std::optional<LayerVersionRecord>>> LayerTransaction::FindVersion(
    const LayerKey& key, int64_t number) {
    HEARTH_CO_TRY(const auto bytes, co_await transaction_.Get(VersionsKey(key).Add(number)));
    if (!bytes) {
        co_return std::optional<LayerVersionRecord>();
    }
    HEARTH_CO_TRY(LayerVersionRecord record, DecodeLayerVersion(*bytes, number));
    co_return std::optional<LayerVersionRecord>(std::move(record));
}

void LayerTransaction::PutVersion(const LayerKey& key, const LayerVersionRecord& record) {
    transaction_.Put(VersionsKey(key).Add(record.version), EncodeLayerVersion(record));
}

void LayerTransaction::DeleteVersion(const LayerKey& key, int64_t number) {
    transaction_.Delete(VersionsKey(key).Add(number));
}

// --- reads outside of transactions

Task<Result<std::optional<LayerVersionRecord>>> LayerStore::FindVersion(
    const LayerKey& key, int64_t number) {
    HEARTH_CO_TRY(const auto bytes, co_await kv_.Get(VersionsKey(key).Add(number)));
    if (!bytes) {
        co_return std::optional<LayerVersionRecord>();
    }
    HEARTH_CO_TRY(LayerVersionRecord record, DecodeLayerVersion(*bytes, number));
    co_return std::optional<LayerVersionRecord>(std::move(record));
}

Task<Result<LayerStore::Versions>> LayerStore::ListVersions(
    const LayerKey& key, int64_t before, size_t limit) {
    storage::RangeRequest request = VersionsKey(key).ChildrenBetween(
        1, before > 0 ? before : std::numeric_limits<int64_t>::max());
    request.reverse = true;
    Versions result;
    while (result.versions.size() <= limit) {
        // One more than asked for tells whether there is a next page.
        request.limit = limit + 1 - result.versions.size();
        HEARTH_CO_TRY(const auto page, co_await kv_.Range(request));
        for (const auto& item : page.items) {
            KeyReader reader(item.key);
            HEARTH_CO_RETURN_IF_ERROR(reader.Skip(kRootComponents + 1));
            HEARTH_CO_TRY(const int64_t number, reader.Integer());
            HEARTH_CO_TRY(LayerVersionRecord record, DecodeLayerVersion(item.value, number));
            result.versions.push_back(std::move(record));
        }
        if (!page.next) {
            break;
        }
        request.end = *page.next;
    }
    if (result.versions.size() > limit) {
        result.versions.resize(limit);
        result.more = true;
    }
    co_return result;
}

Task<Result<LayerStore::Names>> LayerStore::ListNames(
    const AccountId& account, const Region& region, std::string_view after, size_t limit) {
    const Key root = Root(account, region, "layer");
    storage::RangeRequest request = after.empty() ? root.Children() : root.ChildrenAfter(after);
    Names result;
    while (result.names.size() <= limit) {
        request.limit = limit + 1 - result.names.size();
        HEARTH_CO_TRY(const auto page, co_await kv_.Range(request));
        for (const auto& item : page.items) {
            KeyReader reader(item.key);
            HEARTH_CO_RETURN_IF_ERROR(reader.Skip(kRootComponents));
            HEARTH_CO_TRY(std::string name, reader.String());
            result.names.push_back(std::move(name));
        }
        if (!page.next) {
            break;
        }
        request.begin = *page.next;
    }
    if (result.names.size() > limit) {
        result.names.resize(limit);
        result.more = true;
    }
    co_return result;
}

}  // namespace hearth::lambda
