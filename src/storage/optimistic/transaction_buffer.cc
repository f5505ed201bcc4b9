#include "storage/optimistic/transaction_buffer.h"

namespace hearth::storage::optimistic {

Status CheckKey(std::string_view key) {
    if (key.empty() || key.size() > kKeyBytesMax) {
        return errors::Internal(
            fmt::format("storage key of {} bytes; 1 to {} are allowed", key.size(), kKeyBytesMax));
    }
    return Status();
}

Status CheckRange(const RangeRequest& request) {
    // Bounds may be one byte longer than a key: the successor of the longest key.
    if (request.begin.size() > kKeyBytesMax + 1 || request.end.size() > kKeyBytesMax + 1) {
        return errors::Internal("storage range with a bound longer than a key");
    }
    if (request.limit == 0 || request.page_bytes_max == 0) {
        return errors::Internal("storage range without room for an item");
    }
    return Status();
}

std::string PageBuilder::NextAfterLast() const {
    std::string next = page_.items.back().key;
    if (!request_.reverse) {
        next.push_back('\0');
    }
    return next;
}

Error ConflictError() {
    return Error(
        Error::Kind::kConflict, "Conflict", "the transaction met others on the same keys", 503);
}

Error UnknownError(const std::string& why) {
    return Error(
        Error::Kind::kUnavailable,
        "Unknown",
        fmt::format("it is not known whether the write happened: {}", why),
        503);
}

Task<Result<std::optional<std::string>>> TransactionBuffer::Get(std::string_view key) {
    HEARTH_CO_RETURN_IF_ERROR(CheckKey(key));
    if (const auto own = writes_.find(key); own != writes_.end()) {
        co_return own->second;
    }
    reads_.points.emplace_back(key);
    co_return co_await snapshot_.Read(key);
}

Task<Result<RangePage>> TransactionBuffer::Range(RangeRequest request) {
    HEARTH_CO_RETURN_IF_ERROR(CheckRange(request));
    if (request.begin >= request.end) {
        co_return RangePage{};
    }
    Result<RangePage> page = co_await ReadMerged(request);
    if (page.ok()) {
        std::string begin = request.reverse && page->next ? *page->next : request.begin;
        std::string end = !request.reverse && page->next ? *page->next : request.end;
        reads_.ranges.emplace_back(std::move(begin), std::move(end));
    }
    co_return page;
}

Task<Result<RangePage>> TransactionBuffer::ReadMerged(const RangeRequest& request) {
    PageBuilder builder(request);
    RangeRequest rest = request;
    while (true) {
        HEARTH_CO_TRY(RangePage below, co_await snapshot_.ReadRange(rest));
        // The part of the range that this page decides; own writes outside of it wait for the next.
        const std::string& begin = request.reverse && below.next ? *below.next : rest.begin;
        const std::string& end = !request.reverse && below.next ? *below.next : rest.end;
        std::map<std::string, std::string> merged;
        for (KeyValue& item : below.items) {
            merged.emplace(std::move(item.key), std::move(item.value));
        }
        for (auto own = writes_.lower_bound(begin); own != writes_.end() && own->first < end;
             ++own) {
            if (own->second) {
                merged.insert_or_assign(own->first, *own->second);
            } else {
                merged.erase(own->first);
            }
        }
        while (!merged.empty()) {
            if (builder.Full()) {
                co_return builder.Take(builder.NextAfterLast());
            }
            auto node = merged.extract(request.reverse ? std::prev(merged.end()) : merged.begin());
            builder.Add(node.key(), std::move(node.mapped()));
        }
        if (!below.next) {
            co_return builder.Take(std::nullopt);
        }
        if (builder.Full()) {
            co_return builder.Take(std::move(below.next));
        }
        (request.reverse ? rest.end : rest.begin) = *std::move(below.next);
    }
}

void TransactionBuffer::Put(std::string_view key, std::string value) {
    if (value.size() > kValueBytesMax && !broken_limit_) {
        broken_limit_ = errors::Internal(fmt::format(
            "storage value of {} bytes; at most {} are allowed", value.size(), kValueBytesMax));
    }
    Write(key, std::move(value));
}

void TransactionBuffer::Delete(std::string_view key) {
    Write(key, std::nullopt);
}

void TransactionBuffer::Write(std::string_view key, std::optional<std::string> value) {
    if (Status status = CheckKey(key); !status.ok() && !broken_limit_) {
        broken_limit_ = std::move(status).error();
    }
    write_bytes_ += key.size() + (value ? value->size() : 0);
    if (const auto own = writes_.find(key); own != writes_.end()) {
        write_bytes_ -= key.size() + (own->second ? own->second->size() : 0);
        own->second = std::move(value);
    } else {
        writes_.emplace(std::string(key), std::move(value));
    }
}

Status TransactionBuffer::CheckLimits() const {
    if (broken_limit_) {
        return *broken_limit_;
    }
    if (write_bytes_ > kTransactionBytesMax || writes_.size() > kTransactionKeysMax) {
        return errors::Internal(fmt::format(
            "storage transaction of {} keys and {} bytes; at most {} and {} are allowed",
            writes_.size(),
            write_bytes_,
            kTransactionKeysMax,
            kTransactionBytesMax));
    }
    return Status();
}

}  // namespace hearth::storage::optimistic
