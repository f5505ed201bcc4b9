#pragma once

#include "base/result.h"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace hearth::aws::protocol {

// Reads an XML text from outside piece by piece, without a tree. Takes what documents of AWS's
// interfaces consist of: elements, attributes, text, CDATA, comments, processing instructions, the
// five named entities and character references. A document type is refused, so that nothing can be
// declared, fetched or expanded; nesting, names and attributes have limits, and the work is linear
// in the text. Namespaces are not resolved: names are compared without their prefix.
class XmlReader final {
  public:
    static constexpr size_t kDepthMax = 32;
    static constexpr size_t kAttributesMax = 32;
    static constexpr size_t kNameBytesMax = 256;

    enum class Event {
        kStart,     // name() and Attribute() are the element's
        kEnd,       // of the element that began last and is still open
        kText,      // text() is a piece of the content of the innermost open element
        kFinished,  // the root has ended and nothing but comments and blanks follows
    };

    // `document` outlives the reader. UTF-8, with or without a byte order mark.
    explicit XmlReader(std::string_view document);

    //   errors  a plain Malformed with the place; the reader is of no use afterwards
    Result<Event> Next();

    // Without the prefix.
    std::string_view name() const { return name_; }

    const std::string& text() const { return text_; }

    // By name without prefix; null when there is none. Valid until the next Next().
    const std::string* Attribute(std::string_view local_name) const;

  private:
    Error Broken(std::string_view what) const;
    Status Declaration();
    // Passes over comments and processing instructions; false where something else stands.
    Result<bool> SkipAside();
    void SkipBlanks();
    bool Eat(std::string_view text);
    Result<std::string_view> QualifiedName();
    Result<Event> StartTag();
    Result<Event> EndTag();
    Status Attributes();
    // Appends `raw` with entities replaced and line ends made one.
    Status AppendText(std::string_view raw, bool entities, std::string& out);
    Result<size_t> AppendEntity(std::string_view raw, std::string& out);

    std::string_view document_;
    size_t at_ = 0;
    bool checked_ = false;
    bool root_seen_ = false;
    // An element without content ("<a/>") still has its end to be told.
    bool ends_at_once_ = false;
    std::vector<std::string_view> open_;
    std::string_view name_;
    std::string text_;
    std::vector<std::pair<std::string_view, std::string>> attributes_;
};

}  // namespace hearth::aws::protocol
