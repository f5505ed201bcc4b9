#include "services/lambda/saved_extensions.h"

#include "services/lambda/extensions_api.h"
#include "services/lambda/record_codec.h"

#include <utility>

namespace hearth::lambda {

namespace {

// A list: 1 an extension. An extension: 1 name, 2 identifier, 3 event.
Result<SavedExtension> DecodeOne(std::string_view bytes) {
    SavedExtension extension;
    HEARTH_TRY(FieldReader reader, FieldReader::Open(bytes));
    for (;;) {
        HEARTH_TRY(const auto field, reader.Next());
        if (!field) {
            break;
        }
        switch (field->number) {
            case 1:
                extension.name = field->bytes;
                break;
            case 2:
                extension.id = field->bytes;
                break;
            case 3:
                extension.events.emplace_back(field->bytes);
                break;
            default:
                return errors::Malformed("a saved extension with more than this Hearth knows");
        }
    }
    if (extension.name.empty() || extension.id.empty()) {
        return errors::Malformed("a saved extension without a name or an identifier");
    }
    return extension;
}

}  // namespace

std::string EncodeSavedExtensions(const std::vector<SavedExtension>& extensions) {
    if (extensions.empty()) {
        return std::string();
    }
    FieldWriter list;
    for (const SavedExtension& extension : extensions) {
        FieldWriter one;
        one.Text(1, extension.name);
        one.Text(2, extension.id);
        for (const std::string& event : extension.events) {
            one.Text(3, event);
        }
        list.Text(1, one.Take());
    }
    return list.Take();
}

Result<std::vector<SavedExtension>> DecodeSavedExtensions(std::string_view bytes) {
    std::vector<SavedExtension> extensions;
    if (bytes.empty()) {
        return extensions;
    }
    HEARTH_TRY(FieldReader reader, FieldReader::Open(bytes));
    for (;;) {
        HEARTH_TRY(const auto field, reader.Next());
        if (!field) {
            break;
        }
        if (field->number != 1 || extensions.size() >= ExtensionsApi::kExtensionsMax) {
            return errors::Malformed("saved extensions with more than this Hearth knows");
        }
        HEARTH_TRY(SavedExtension extension, DecodeOne(field->bytes));
        extensions.push_back(std::move(extension));
    }
    return extensions;
}

}  // namespace hearth::lambda
