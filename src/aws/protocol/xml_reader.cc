#include "aws/protocol/xml_reader.h"

#include "aws/protocol/utf8.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cstdint>

namespace hearth::aws::protocol {
namespace {

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

constexpr std::array<std::pair<std::string_view, char>, 5> kEntities = {
    {{"lt", '<'}, {"gt", '>'}, {"amp", '&'}, {"quot", '"'}, {"apos", '\''}}};

// The longest reference is "&#x10FFFF;"; leading zeros may make it longer.
constexpr size_t kReferenceBytesMax = 32;

bool IsBlank(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

bool IsNameStart(char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' || c == ':' ||
           static_cast<unsigned char>(c) >= 0x80;
}

bool IsNameCharacter(char c) {
    return IsNameStart(c) || (c >= '0' && c <= '9') || c == '-' || c == '.';
}

std::string_view LocalName(std::string_view name) {
    const size_t colon = name.rfind(':');
    return colon == std::string_view::npos ? name : name.substr(colon + 1);
}

void AppendUtf8(uint32_t character, std::string& out) {
    const auto add = [&](uint32_t byte) { out.push_back(static_cast<char>(byte)); };
    if (character < 0x80) {
        add(character);
    } else if (character < 0x800) {
        add(0xc0 | character >> 6);
        add(0x80 | (character & 0x3f));
    } else if (character < 0x10000) {
        add(0xe0 | character >> 12);
        add(0x80 | (character >> 6 & 0x3f));
        add(0x80 | (character & 0x3f));
    } else {
        add(0xf0 | character >> 18);
        add(0x80 | (character >> 12 & 0x3f));
        add(0x80 | (character >> 6 & 0x3f));
        add(0x80 | (character & 0x3f));
    }
}

bool EqualsIgnoringCase(std::string_view text, std::string_view lower) {
    if (text.size() != lower.size()) {
        return false;
    }
    for (size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if ((c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c) != lower[i]) {
            return false;
        }
    }
    return true;
}

}  // namespace

XmlReader::XmlReader(std::string_view document) : document_(document) {
    if (document_.starts_with(kByteOrderMark)) {
        document_.remove_prefix(kByteOrderMark.size());
    }
}

Error XmlReader::Broken(std::string_view what) const {
    return hearth::errors::Malformed(fmt::format("{} at byte {}", what, at_));
}

void XmlReader::SkipBlanks() {
    while (at_ < document_.size() && IsBlank(document_[at_])) {
        ++at_;
    }
}

bool XmlReader::Eat(std::string_view text) {
    if (document_.substr(at_, text.size()) != text) {
        return false;
    }
    at_ += text.size();
    return true;
}

const std::string* XmlReader::Attribute(std::string_view local_name) const {
    for (const auto& [name, value] : attributes_) {
        if (LocalName(name) == local_name && name != "xmlns" && !name.starts_with("xmlns:")) {
            return &value;
        }
    }
    return nullptr;
}

// "<?xml version="1.0" encoding="UTF-8"?>", where it is there.
Status XmlReader::Declaration() {
    if (!Eat("<?xml") || at_ >= document_.size() || !IsBlank(document_[at_])) {
        at_ = 0;
        return {};
    }
    HEARTH_RETURN_IF_ERROR(Attributes());
    if (!Eat("?>")) {
        return Broken("a declaration without an end");
    }
    if (const std::string* encoding = Attribute("encoding");
        encoding != nullptr && !EqualsIgnoringCase(*encoding, "utf-8") &&
        !EqualsIgnoringCase(*encoding, "utf8") && !EqualsIgnoringCase(*encoding, "us-ascii")) {
        return Broken("an encoding other than UTF-8");
    }
    return {};
}

Result<bool> XmlReader::SkipAside() {
    const auto skip_to = [&](std::string_view end) {
        const size_t found = document_.find(end, at_);
        at_ = found == std::string_view::npos ? document_.size() : found + end.size();
        return found != std::string_view::npos;
    };
    if (Eat("<!--")) {
        if (!skip_to("-->")) {
            return Broken("a comment without an end");
        }
        return true;
    }
    if (Eat("<?")) {
        if (!skip_to("?>")) {
            return Broken("an instruction without an end");
        }
        return true;
    }
    return false;
}

Result<std::string_view> XmlReader::QualifiedName() {
    const size_t begin = at_;
    if (at_ >= document_.size() || !IsNameStart(document_[at_])) {
        return Broken("no name");
    }
    while (at_ < document_.size() && IsNameCharacter(document_[at_])) {
        ++at_;
    }
    if (at_ - begin > kNameBytesMax) {
        return Broken("a name too long");
    }
    return document_.substr(begin, at_ - begin);
}

Result<size_t> XmlReader::AppendEntity(std::string_view raw, std::string& out) {
    const size_t end = raw.substr(0, kReferenceBytesMax).find(';');
    if (end == std::string_view::npos) {
        return Broken("a reference without an end");
    }
    std::string_view name = raw.substr(1, end - 1);
    if (!name.starts_with('#')) {
        for (const auto& [entity, character] : kEntities) {
            if (entity == name) {
                out.push_back(character);
                return end + 1;
            }
        }
        return Broken("an unknown entity");
    }
    name.remove_prefix(1);
    const int base = name.starts_with('x') ? 16 : 10;
    if (base == 16) {
        name.remove_prefix(1);
    }
    uint32_t character = 0;
    const auto [stop, error] =
        std::from_chars(name.data(), name.data() + name.size(), character, base);
    // Control characters pass, as in XML 1.1: keys of objects may have them, and this is the only
    // way to write them.
    if (error != std::errc() || stop != name.data() + name.size() || character == 0 ||
        character > 0x10ffff || (character >= 0xd800 && character <= 0xdfff) ||
        character == 0xfffe || character == 0xffff) {
        return Broken("a reference to no character");
    }
    AppendUtf8(character, out);
    return end + 1;
}

Status XmlReader::AppendText(std::string_view raw, bool entities, std::string& out) {
    size_t i = 0;
    while (i < raw.size()) {
        const size_t begin = i;
        while (i < raw.size() && static_cast<unsigned char>(raw[i]) >= 0x20 && raw[i] != '&') {
            ++i;
        }
        out.append(raw.substr(begin, i - begin));
        if (i == raw.size()) {
            break;
        }
        const char c = raw[i];
        if (c == '&' && entities) {
            HEARTH_TRY(const size_t bytes, AppendEntity(raw.substr(i), out));
            i += bytes;
        } else if (c == '\r') {
            out.push_back('\n');
            i += raw.substr(i).starts_with("\r\n") ? 2 : 1;
        } else if (c == '\n' || c == '\t' || c == '&') {
            out.push_back(c);
            ++i;
        } else {
            return Broken("a control character");
        }
    }
    return {};
}

Status XmlReader::Attributes() {
    attributes_.clear();
    for (;;) {
        const size_t before = at_;
        SkipBlanks();
        if (at_ >= document_.size() || !IsNameStart(document_[at_])) {
            return {};
        }
        if (at_ == before) {
            return Broken("no blank before an attribute");
        }
        HEARTH_TRY(const std::string_view name, QualifiedName());
        SkipBlanks();
        if (!Eat("=")) {
            return Broken("an attribute without a value");
        }
        SkipBlanks();
        const char quote = at_ < document_.size() ? document_[at_] : '\0';
        if (quote != '"' && quote != '\'') {
            return Broken("an attribute without quotes");
        }
        const size_t begin = ++at_;
        const size_t end = document_.find(quote, begin);
        if (end == std::string_view::npos) {
            return Broken("an attribute without an end");
        }
        const std::string_view raw = document_.substr(begin, end - begin);
        if (raw.find('<') != std::string_view::npos) {
            return Broken("a '<' in an attribute");
        }
        for (const auto& [other, value] : attributes_) {
            if (other == name) {
                return Broken("an attribute given twice");
            }
        }
        if (attributes_.size() == kAttributesMax) {
            return Broken("too many attributes");
        }
        std::string value;
        HEARTH_RETURN_IF_ERROR(AppendText(raw, true, value));
        attributes_.emplace_back(name, std::move(value));
        at_ = end + 1;
    }
}

Result<XmlReader::Event> XmlReader::StartTag() {
    HEARTH_TRY(const std::string_view name, QualifiedName());
    HEARTH_RETURN_IF_ERROR(Attributes());
    if (Eat("/>")) {
        ends_at_once_ = true;
    } else if (!Eat(">")) {
        return Broken("a tag without an end");
    }
    if (open_.size() == kDepthMax) {
        return Broken("too deep");
    }
    open_.push_back(name);
    root_seen_ = true;
    name_ = LocalName(name);
    return Event::kStart;
}

Result<XmlReader::Event> XmlReader::EndTag() {
    HEARTH_TRY(const std::string_view name, QualifiedName());
    SkipBlanks();
    if (!Eat(">")) {
        return Broken("a tag without an end");
    }
    if (open_.empty() || open_.back() != name) {
        return Broken("an end tag of another element");
    }
    open_.pop_back();
    name_ = LocalName(name);
    return Event::kEnd;
}

Result<XmlReader::Event> XmlReader::Next() {
    if (!checked_) {
        checked_ = true;
        if (!IsUtf8(document_)) {
            return Broken("bytes that are not UTF-8");
        }
        HEARTH_RETURN_IF_ERROR(Declaration());
    }
    if (ends_at_once_) {
        ends_at_once_ = false;
        name_ = LocalName(open_.back());
        open_.pop_back();
        return Event::kEnd;
    }
    for (;;) {
        if (open_.empty()) {
            SkipBlanks();
            if (at_ == document_.size()) {
                if (!root_seen_) {
                    return Broken("no element");
                }
                return Event::kFinished;
            }
        }
        if (at_ >= document_.size()) {
            return Broken("an element without an end");
        }
        if (document_[at_] != '<') {
            if (open_.empty()) {
                return Broken("text outside of the root");
            }
            const size_t end = std::min(document_.find('<', at_), document_.size());
            text_.clear();
            HEARTH_RETURN_IF_ERROR(AppendText(document_.substr(at_, end - at_), true, text_));
            at_ = end;
            return Event::kText;
        }
        HEARTH_TRY(const bool skipped, SkipAside());
        if (skipped) {
            continue;
        }
        if (!open_.empty() && Eat("<![CDATA[")) {
            const size_t end = document_.find("]]>", at_);
            if (end == std::string_view::npos) {
                return Broken("a CDATA section without an end");
            }
            text_.clear();
            HEARTH_RETURN_IF_ERROR(AppendText(document_.substr(at_, end - at_), false, text_));
            at_ = end + 3;
            return Event::kText;
        }
        if (Eat("</")) {
            return EndTag();
        }
        if (open_.empty() && root_seen_) {
            return Broken("a second root");
        }
        if (!Eat("<")) {
            return Broken("no tag");
        }
        // A document type ends here: '!' begins no name.
        return StartTag();
    }
}

}  // namespace hearth::aws::protocol
