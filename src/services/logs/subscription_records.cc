#include "services/logs/subscription_records.h"

#include "storage/records/record_codec.h"

namespace hearth::logs {
namespace {

// Of a filter; each begins with its name.
constexpr uint8_t kName = 1;
constexpr uint8_t kPattern = 2;
constexpr uint8_t kDestination = 3;
constexpr uint8_t kDistribution = 4;
constexpr uint8_t kCreated = 5;
constexpr uint8_t kTransformed = 6;

}  // namespace

storage::keys::Key SubscriptionsKey(const GroupName& group, std::string_view group_id) {
    return storage::keys::Key(group.account, group.region)
        .Add("logs")
        .Add("subscription")
        .Add(group_id);
}

std::string EncodeSubscriptions(const SubscriptionFilters& filters) {
    storage::FieldWriter writer;
    for (const SubscriptionFilter& filter : filters) {
        writer.Text(kName, filter.name);
        writer.Text(kPattern, filter.pattern);
        writer.Text(kDestination, filter.destination_arn);
        writer.Text(kDistribution, filter.distribution);
        writer.Integer(kCreated, filter.created_ms);
        writer.Integer(kTransformed, filter.apply_on_transformed ? 1 : 0);
    }
    return writer.Take();
}

Result<SubscriptionFilters> DecodeSubscriptions(std::string_view value) {
    SubscriptionFilters filters;
    HEARTH_TRY(storage::FieldReader reader, storage::FieldReader::Open(value));
    while (true) {
        HEARTH_TRY(const auto field, reader.Next());
        if (!field) {
            return filters;
        }
        if (field->number == kName) {
            filters.emplace_back().name = std::string(field->bytes);
            continue;
        }
        if (filters.empty()) {
            return hearth::errors::Internal("a stored subscription filter is damaged");
        }
        SubscriptionFilter& filter = filters.back();
        switch (field->number) {
            case kPattern:
                filter.pattern = std::string(field->bytes);
                break;
            case kDestination:
                filter.destination_arn = std::string(field->bytes);
                break;
            case kDistribution:
                filter.distribution = std::string(field->bytes);
                break;
            case kCreated: {
                HEARTH_TRY(filter.created_ms, storage::FieldReader::Integer(*field));
                break;
            }
            case kTransformed: {
                HEARTH_TRY(const int64_t transformed, storage::FieldReader::Integer(*field));
                filter.apply_on_transformed = transformed != 0;
                break;
            }
            default:
                break;
        }
    }
}

}  // namespace hearth::logs
