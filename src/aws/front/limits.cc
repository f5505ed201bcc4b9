#include "aws/front/limits.h"

#include <fmt/format.h>

#include <array>
#include <string_view>

namespace hearth::aws {
namespace {

struct Limit {
    std::string_view service;
    std::string_view operation;
    uint64_t bytes_max;
};

constexpr uint64_t kDefaultBytesMax = 1024 * 1024;
constexpr uint64_t kS3DocumentBytesMax = 8 * 1024 * 1024;
// A batch of 1 MiB, each byte escaped as JSON (six bytes) or as a form (three).
constexpr uint64_t kSqsBytesMax = 8 * 1024 * 1024;
constexpr std::array kLimits = {
    Limit{"lambda", "CreateFunction", 70'167'211},
    Limit{"lambda", "UpdateFunctionCode", 70'167'211},
    Limit{"lambda", "PublishLayerVersion", 70'167'211},
    Limit{"lambda", "Invoke", 6'291'456},
    Limit{"lambda", "InvokeWithResponseStream", 6'291'456},
    Limit{"logs", "PutLogEvents", 8 * 1024 * 1024},
};

}  // namespace

uint64_t BodyBytesMax(const model::Service& service, const model::Operation* operation) {
    if (operation != nullptr) {
        for (const Limit& limit : kLimits) {
            if (limit.operation == operation->name && limit.service == service.name) {
                return limit.bytes_max;
            }
        }
    }
    if (service.name == "sqs") {
        return kSqsBytesMax;
    }
    return service.protocol == model::Protocol::kRestXml ? kS3DocumentBytesMax : kDefaultBytesMax;
}

Error BodyTooLarge(
    const model::Service& service, const model::Operation* operation, uint64_t bytes_max) {
    if (service.protocol == model::Protocol::kQuery) {
        return Error(
            Error::Kind::kInvalid,
            "RequestEntityTooLarge",
            fmt::format("Request must be smaller than {} bytes", bytes_max),
            413);
    }
    std::string_view name = operation == nullptr ? "" : operation->name;
    // Lambda calls it by its internal name.
    if (service.name == "lambda" && name == "Invoke") {
        name = "InvokeFunction";
    }
    Error error(
        Error::Kind::kInvalid,
        "RequestEntityTooLargeException",
        fmt::format("Request must be smaller than {} bytes for the {} operation", bytes_max, name),
        413);
    if (service.name == "lambda") {
        return std::move(error).WithField("Type", "User");
    }
    return error;
}

}  // namespace hearth::aws
