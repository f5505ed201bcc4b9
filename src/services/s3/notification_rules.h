#pragma once

#include "base/result.h"
#include "services/s3/notification_event.h"

#include <string>
#include <string_view>
#include <vector>

namespace hearth::s3::model {
struct NotificationConfiguration;
}

namespace hearth::s3 {

// One destination of a bucket's events: which events, of which keys, and where to.
struct NotificationRule {
    std::string id;
    std::string destination_arn;
    NotificationEvents events = 0;
    std::string prefix;
    std::string suffix;
};

// A bucket's notification configuration as it is used for every change of an object. Immutable.
class NotificationRules final {
  public:
    explicit NotificationRules(std::vector<NotificationRule> rules) : rules_(std::move(rules)) {}

    // The one rule for that event of that key; null: nobody asked. No two can match, see
    // CheckOverlaps.
    const NotificationRule* Find(NotificationEvent event, std::string_view key) const;

    const std::vector<NotificationRule>& all() const { return rules_; }

  private:
    std::vector<NotificationRule> rules_;
};

// Of a configuration as it was put or is kept; those of services to which Hearth does not send
// (topics) are left out. What is malformed matches nothing.
NotificationRules CompileNotifications(const model::NotificationConfiguration& configuration);

// No event of an object may have two destinations.
//   errors  kInvalid, with AWS's words
Status CheckOverlaps(const std::vector<NotificationRule>& rules);

}  // namespace hearth::s3
