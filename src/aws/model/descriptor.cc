#include "aws/model/descriptor.h"

#include <algorithm>

namespace hearth::aws::model {

const Member* Shape::FindMember(std::string_view wire_name) const {
    for (const Member& member : members) {
        if (member.wire_name == wire_name) {
            return &member;
        }
    }
    return nullptr;
}

const Member* Shape::Payload() const {
    for (const Member& member : members) {
        if (member.location == Location::kPayload) {
            return &member;
        }
    }
    return nullptr;
}

const Operation* Service::FindOperation(std::string_view operation) const {
    const auto it = std::ranges::lower_bound(operations, operation, {}, &Operation::name);
    return it != operations.end() && it->name == operation ? &*it : nullptr;
}

const ErrorInfo* Service::FindError(std::string_view code) const {
    const auto it = std::ranges::lower_bound(errors, code, {}, &ErrorInfo::code);
    return it != errors.end() && it->code == code ? &*it : nullptr;
}

}  // namespace hearth::aws::model
