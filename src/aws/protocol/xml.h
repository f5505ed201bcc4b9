#pragma once

#include <string>
#include <string_view>

namespace hearth::aws::protocol {

// Writes an XML text piece by piece; the caller closes what it opens.
class XmlWriter final {
  public:
    void Open(std::string_view name, std::string_view xml_namespace = {});
    void Close(std::string_view name);
    // <name>escaped text</name>
    void Text(std::string_view name, std::string_view text);

    std::string Take() { return std::move(out_); }

  private:
    void Escape(std::string_view text);

    std::string out_;
};

}  // namespace hearth::aws::protocol
