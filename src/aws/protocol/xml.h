#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace hearth::aws::protocol {

// Writes an XML text piece by piece; the caller closes what it opens.
class XmlWriter final {
  public:
    // XML 1.0 has no way to write most control characters. kReplaced makes them U+FFFD; kReferenced
    // writes "&#x1;" all the same, as S3 does, which lenient readers understand.
    enum class Controls { kReplaced, kReferenced };

    explicit XmlWriter(Controls controls = Controls::kReplaced) : controls_(controls) {}

    // <?xml version="1.0" encoding="UTF-8"?>
    void Declaration();
    void Open(std::string_view name, std::string_view xml_namespace = {});
    // <name first="value" ...>
    void OpenWith(
        std::string_view name,
        std::span<const std::pair<std::string_view, std::string_view>> attributes);
    void Close(std::string_view name);

    // Text inside the element that is open.
    void Content(std::string_view text) { Escape(text); }

    // <name>escaped text</name>
    void Text(std::string_view name, std::string_view text);

    std::string Take() { return std::move(out_); }

  private:
    void Escape(std::string_view text);

    Controls controls_;
    std::string out_;
};

}  // namespace hearth::aws::protocol
