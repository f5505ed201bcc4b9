#include "storage/keys/key.h"

namespace hearth::storage::keys {
namespace {

// The first byte of a component. Order between types never matters to callers, but it must not
// change.
constexpr char kAboveAccountsTag = 0x01;
constexpr char kStringTag = 0x02;
constexpr char kIntegerTag = 0x15;

// A zero byte inside a string becomes 00 FF; 00 alone ends it, so that "a" sorts before "ab" and
// before any further component.
constexpr char kZero = 0x00;
constexpr char kEscape = static_cast<char>(0xff);
// Greater than every tag: ends the range of a key's children.
constexpr char kAfterAllTags = static_cast<char>(0xff);

void AppendEscaped(std::string& out, std::string_view text) {
    for (const char c : text) {
        out.push_back(c);
        if (c == kZero) {
            out.push_back(kEscape);
        }
    }
}

void AppendString(std::string& out, std::string_view text) {
    out.push_back(kStringTag);
    AppendEscaped(out, text);
    out.push_back(kZero);
}

// Big-endian with the sign bit turned, so that negative numbers sort first.
void AppendInteger(std::string& out, int64_t number) {
    out.push_back(kIntegerTag);
    const uint64_t ordered = static_cast<uint64_t>(number) ^ (uint64_t{1} << 63);
    for (int shift = 56; shift >= 0; shift -= 8) {
        out.push_back(static_cast<char>((ordered >> shift) & 0xff));
    }
}

// The smallest string greater than every string that begins with `prefix`; a key's first byte is a
// tag far below FF, so there is always one.
std::string AfterPrefix(std::string prefix) {
    while (!prefix.empty() && prefix.back() == static_cast<char>(0xff)) {
        prefix.pop_back();
    }
    CHECK(!prefix.empty(), "no key is greater than this prefix");
    prefix.back() = static_cast<char>(static_cast<uint8_t>(prefix.back()) + 1);
    return prefix;
}

}  // namespace

Key::Key(const AccountId& account, const Region& region) {
    AppendString(bytes_, account.text());
    AppendString(bytes_, region.text());
}

Key Key::AboveAccounts() {
    Key key;
    key.bytes_.push_back(kAboveAccountsTag);
    return key;
}

Key Key::OfAccount(const AccountId& account) {
    Key key;
    AppendString(key.bytes_, account.text());
    return key;
}

Key& Key::Add(std::string_view text) & {
    AppendString(bytes_, text);
    return *this;
}

Key& Key::Add(int64_t number) & {
    AppendInteger(bytes_, number);
    return *this;
}

Key&& Key::Add(std::string_view text) && {
    AppendString(bytes_, text);
    return std::move(*this);
}

Key&& Key::Add(int64_t number) && {
    AppendInteger(bytes_, number);
    return std::move(*this);
}

RangeRequest Key::Children() const {
    RangeRequest request;
    request.begin = bytes_ + kZero;
    request.end = bytes_ + kAfterAllTags;
    return request;
}

RangeRequest Key::ChildrenWithPrefix(std::string_view prefix) const {
    RangeRequest request;
    request.begin = bytes_;
    request.begin.push_back(kStringTag);
    AppendEscaped(request.begin, prefix);
    request.end = AfterPrefix(request.begin);
    return request;
}

RangeRequest Key::ChildrenAfter(std::string_view text) const {
    RangeRequest request;
    request.begin = bytes_;
    AppendString(request.begin, text);
    request.begin.push_back(kAfterAllTags);
    request.end = bytes_ + kAfterAllTags;
    return request;
}

RangeRequest Key::ChildrenBetween(int64_t first, int64_t last) const {
    RangeRequest request;
    request.begin = bytes_;
    AppendInteger(request.begin, first);
    request.end = bytes_;
    AppendInteger(request.end, last);
    return request;
}

KeyReader::KeyReader(std::string_view bytes) : rest_(bytes) {
    if (!rest_.empty() && rest_.front() == kAboveAccountsTag) {
        rest_.remove_prefix(1);
    }
}

Result<std::string> KeyReader::String() {
    if (rest_.empty() || rest_.front() != kStringTag) {
        return errors::Malformed("storage key: no string where one should be");
    }
    std::string text;
    for (size_t i = 1; i < rest_.size(); ++i) {
        if (rest_[i] != kZero) {
            text.push_back(rest_[i]);
        } else if (i + 1 < rest_.size() && rest_[i + 1] == kEscape) {
            text.push_back(kZero);
            ++i;
        } else {
            rest_.remove_prefix(i + 1);
            return text;
        }
    }
    return errors::Malformed("storage key: a string without an end");
}

Result<int64_t> KeyReader::Integer() {
    if (rest_.size() < 9 || rest_.front() != kIntegerTag) {
        return errors::Malformed("storage key: no integer where one should be");
    }
    uint64_t ordered = 0;
    for (size_t i = 1; i < 9; ++i) {
        ordered = ordered << 8 | static_cast<uint8_t>(rest_[i]);
    }
    rest_.remove_prefix(9);
    return static_cast<int64_t>(ordered ^ (uint64_t{1} << 63));
}

Status KeyReader::Skip(size_t count) {
    for (size_t i = 0; i < count; ++i) {
        if (!rest_.empty() && rest_.front() == kIntegerTag) {
            HEARTH_RETURN_IF_ERROR(Integer());
        } else {
            HEARTH_RETURN_IF_ERROR(String());
        }
    }
    return Status();
}

}  // namespace hearth::storage::keys
