#include "aws/protocol/xml.h"

#include <fmt/format.h>

#include <iterator>

namespace hearth::aws::protocol {
namespace {

bool IsPlain(char c) {
    return (static_cast<unsigned char>(c) >= 0x20 && c != '&' && c != '<' && c != '>' &&
            c != '"') ||
           c == '\t' || c == '\n';
}

}  // namespace

void XmlWriter::Open(std::string_view name, std::string_view xml_namespace) {
    out_.push_back('<');
    out_.append(name);
    if (!xml_namespace.empty()) {
        out_.append(" xmlns=\"");
        Escape(xml_namespace);
        out_.push_back('"');
    }
    out_.push_back('>');
}

void XmlWriter::Declaration() {
    out_ += "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";
}

void XmlWriter::OpenWith(
    std::string_view name,
    std::span<const std::pair<std::string_view, std::string_view>> attributes) {
    out_.push_back('<');
    out_.append(name);
    for (const auto& [attribute, value] : attributes) {
        out_.push_back(' ');
        out_.append(attribute);
        out_.append("=\"");
        Escape(value);
        out_.push_back('"');
    }
    out_.push_back('>');
}

void XmlWriter::Close(std::string_view name) {
    out_.append("</");
    out_.append(name);
    out_.push_back('>');
}

void XmlWriter::Text(std::string_view name, std::string_view text) {
    Open(name);
    Escape(text);
    Close(name);
}

void XmlWriter::Escape(std::string_view text) {
    while (!text.empty()) {
        // Most text has nothing to escape; it is copied in one piece.
        size_t plain = 0;
        while (plain < text.size() && IsPlain(text[plain])) {
            ++plain;
        }
        out_.append(text.substr(0, plain));
        if (plain == text.size()) {
            return;
        }
        switch (text[plain]) {
            case '&':
                out_ += "&amp;";
                break;
            case '<':
                out_ += "&lt;";
                break;
            case '>':
                out_ += "&gt;";
                break;
            case '"':
                out_ += "&quot;";
                break;
            case '\r':
                // A bare one would be read as a line feed.
                out_ += "&#xD;";
                break;
            default:
                if (controls_ == Controls::kReferenced && text[plain] != '\0') {
                    fmt::format_to(
                        std::back_inserter(out_), "&#x{:X};", static_cast<unsigned>(text[plain]));
                } else {
                    out_ += "\xef\xbf\xbd";
                }
        }
        text.remove_prefix(plain + 1);
    }
}

}  // namespace hearth::aws::protocol
