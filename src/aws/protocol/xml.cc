#include "aws/protocol/xml.h"

namespace hearth::aws::protocol {

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
    for (const char c : text) {
        switch (c) {
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
                if (static_cast<unsigned char>(c) < 0x20 && c != '\t' && c != '\n') {
                    // XML 1.0 has no way to write the other control characters.
                    out_ += "\xef\xbf\xbd";
                } else {
                    out_.push_back(c);
                }
        }
    }
}

}  // namespace hearth::aws::protocol
