#include "services/s3/conditionals.h"

#include "services/s3/errors.h"

#include <chrono>

namespace hearth::s3 {
namespace {

std::string_view Trim(std::string_view text) {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) {
        text.remove_prefix(1);
    }
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) {
        text.remove_suffix(1);
    }
    return text;
}

// Headers carry whole seconds.
auto Seconds(WallClock::time_point time) {
    return std::chrono::floor<std::chrono::seconds>(time);
}

}  // namespace

bool EtagMatches(std::string_view list, std::string_view etag) {
    while (!list.empty()) {
        const size_t comma = list.find(',');
        std::string_view one = Trim(list.substr(0, comma));
        list = comma == std::string_view::npos ? std::string_view() : list.substr(comma + 1);
        if (one == "*") {
            return true;
        }
        if (one.starts_with("W/")) {
            one.remove_prefix(2);
        }
        if (one.size() >= 2 && one.front() == '"' && one.back() == '"') {
            one = one.substr(1, one.size() - 2);
        }
        if (one == etag) {
            return true;
        }
    }
    return false;
}

Result<ReadDecision> DecideRead(const ReadConditions& conditions, const ObjectRecord& object) {
    if (conditions.if_match) {
        if (!EtagMatches(*conditions.if_match, object.etag)) {
            return errors::PreconditionFailed("If-Match");
        }
    } else if (
        conditions.if_unmodified_since &&
        Seconds(object.modified) > Seconds(*conditions.if_unmodified_since)) {
        return errors::PreconditionFailed("If-Unmodified-Since");
    }
    if (conditions.if_none_match) {
        if (EtagMatches(*conditions.if_none_match, object.etag)) {
            return ReadDecision::kNotModified;
        }
    } else if (
        conditions.if_modified_since &&
        Seconds(object.modified) <= Seconds(*conditions.if_modified_since)) {
        return ReadDecision::kNotModified;
    }
    return ReadDecision::kGo;
}

Status DecideCopySource(const ReadConditions& conditions, const ObjectRecord& source) {
    if (conditions.if_match) {
        if (!EtagMatches(*conditions.if_match, source.etag)) {
            return errors::PreconditionFailed("x-amz-copy-source-If-Match");
        }
    } else if (
        conditions.if_unmodified_since &&
        Seconds(source.modified) > Seconds(*conditions.if_unmodified_since)) {
        return errors::PreconditionFailed("x-amz-copy-source-If-Unmodified-Since");
    }
    if (conditions.if_none_match) {
        if (EtagMatches(*conditions.if_none_match, source.etag)) {
            return errors::PreconditionFailed("x-amz-copy-source-If-None-Match");
        }
    } else if (
        conditions.if_modified_since &&
        Seconds(source.modified) <= Seconds(*conditions.if_modified_since)) {
        return errors::PreconditionFailed("x-amz-copy-source-If-Modified-Since");
    }
    return Status();
}

Status CheckWriteConditions(const WriteConditions& conditions) {
    if (conditions.if_none_match && Trim(*conditions.if_none_match) != "*") {
        return errors::NotImplemented(
            "A header you provided implies functionality that is not implemented", "If-None-Match");
    }
    if (conditions.if_match && Trim(*conditions.if_match) == "*") {
        return errors::NotImplemented(
            "A header you provided implies functionality that is not implemented", "If-Match");
    }
    return Status();
}

Status DecideWrite(
    const WriteConditions& conditions, std::string_view key, const ObjectRecord* current) {
    if (conditions.if_none_match && current != nullptr) {
        return errors::PreconditionFailed("If-None-Match");
    }
    if (conditions.if_match) {
        if (current == nullptr) {
            return errors::NoSuchKey(key);
        }
        if (!EtagMatches(*conditions.if_match, current->etag)) {
            return errors::PreconditionFailed("If-Match");
        }
    }
    return Status();
}

}  // namespace hearth::s3
