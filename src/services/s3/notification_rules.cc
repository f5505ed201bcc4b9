#include "services/s3/notification_rules.h"

#include "base/error.h"
#include "services/s3/value_or_empty.h"

#include "gen/s3/types.gen.h"

#include <algorithm>
#include <utility>

namespace hearth::s3 {
namespace {

bool PrefixesOverlap(std::string_view a, std::string_view b) {
    return a.starts_with(b) || b.starts_with(a);
}

bool SuffixesOverlap(std::string_view a, std::string_view b) {
    return a.ends_with(b) || b.ends_with(a);
}

std::string LowerCase(std::string text) {
    std::transform(text.begin(), text.end(), text.begin(), [](char c) {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    });
    return text;
}

template <class Configuration>
NotificationRule RuleOf(const Configuration& from, const std::optional<std::string>& arn) {
    NotificationRule rule;
    rule.id = from.id.value_or("");
    rule.destination_arn = arn.value_or("");
    for (const std::string& event : ValueOrEmpty(from.events)) {
        rule.events |= ParseNotificationEvents(event).value_or(0);
    }
    if (from.filter && from.filter->key) {
        for (const model::FilterRule& filter : ValueOrEmpty(from.filter->key->filter_rules)) {
            const std::string name = LowerCase(filter.name.value_or(""));
            (name == "suffix" ? rule.suffix : rule.prefix) = filter.value.value_or("");
        }
    }
    return rule;
}

Error Overlap(std::string message) {
    return Error(Error::Kind::kInvalid, "InvalidArgument", std::move(message), 400);
}

}  // namespace

const NotificationRule* NotificationRules::Find(
    NotificationEvent event, std::string_view key) const {
    for (const NotificationRule& rule : rules_) {
        if ((rule.events & SetOf(event)) != 0 && key.starts_with(rule.prefix) &&
            key.ends_with(rule.suffix)) {
            return &rule;
        }
    }
    return nullptr;
}

NotificationRules CompileNotifications(const model::NotificationConfiguration& configuration) {
    std::vector<NotificationRule> rules;
    for (const auto& queue : ValueOrEmpty(configuration.queue_configurations)) {
        rules.push_back(RuleOf(queue, queue.queue_arn));
    }
    for (const auto& function : ValueOrEmpty(configuration.lambda_function_configurations)) {
        rules.push_back(RuleOf(function, function.lambda_function_arn));
    }
    return NotificationRules(std::move(rules));
}

Status CheckOverlaps(const std::vector<NotificationRule>& rules) {
    for (size_t i = 0; i < rules.size(); ++i) {
        for (size_t j = 0; j < i; ++j) {
            const NotificationRule& a = rules[i];
            const NotificationRule& b = rules[j];
            if ((a.events & b.events) == 0 || !PrefixesOverlap(a.prefix, b.prefix) ||
                !SuffixesOverlap(a.suffix, b.suffix)) {
                continue;
            }
            const bool filtered =
                !a.prefix.empty() || !a.suffix.empty() || !b.prefix.empty() || !b.suffix.empty();
            return filtered ? Overlap(
                                  "Configuration is ambiguously defined. Cannot have overlapping "
                                  "suffixes in two rules if the prefixes are overlapping for the "
                                  "same event type.")
                            : Overlap(
                                  "Configurations overlap. Configurations on the same bucket "
                                  "cannot share a common event type.");
        }
    }
    return Status();
}

}  // namespace hearth::s3
