#pragma once

#include "base/result.h"
#include "http/message.h"
#include "rt/task.h"

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace hearth::aws {

// A browser's form with a file in it (multipart/form-data), read as it comes: the fields in front
// of the file are kept, the file flows, and what follows it is passed over.
// Source: RFC 7578; Amazon S3 API Reference, "POST Object", 2025, for limits and errors.
class FormReader final {
  public:
    // Of all fields before the file, names and all.
    static constexpr size_t kFieldBytesMax = 20 * 1024;
    static constexpr size_t kFieldsMax = 256;
    // Of one part's headers.
    static constexpr size_t kPartHeadBytesMax = 4 * 1024;

    // `body` outlives it. nullopt: the content type is no form's, or has no boundary.
    static std::optional<FormReader> For(http::BodyReader& body, std::string_view content_type);

    struct Fields {
        // Names in lower case, in the order of the form.
        std::vector<std::pair<std::string, std::string>> values;
        // As the browser says; without folders.
        std::string file_name;
    };

    // Up to the file. Once.
    //   errors  MalformedPOSTRequest, MaxPostPreDataLengthExceededError, InvalidArgument (no file)
    Task<Result<Fields>> ReadFields();

    // Then the file; 0 at its end, after which the rest of the form has been passed over.
    Task<Result<size_t>> ReadFile(std::span<char> into);

  private:
    FormReader(http::BodyReader& body, std::string boundary);

    // More bytes behind those that are there; false at the body's end.
    Task<Result<bool>> Fill();

    std::string_view Ahead() const { return {buffer_.data() + at_, end_ - at_}; }

    http::BodyReader* body_;
    // "\r\n--boundary"
    std::string delimiter_;
    std::vector<char> buffer_;
    size_t at_ = 0;
    size_t end_ = 0;
    bool file_ended_ = false;
};

}  // namespace hearth::aws
