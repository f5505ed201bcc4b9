// A browser's form from a stranger, cut in pieces as the network likes, reads the same in all of
// them.
#include "aws/front/form_reader.h"
#include "testing/run_task.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>

namespace {

using namespace hearth;

class Pieces final : public http::BodyReader {
  public:
    Pieces(std::string_view text, size_t step) : text_(text), step_(step) {}

    std::optional<uint64_t> Length() const override { return text_.size(); }

    Task<Result<size_t>> Read(std::span<char> into) override {
        const size_t count = std::min({step_, into.size(), text_.size()});
        text_.copy(into.data(), count);
        text_.remove_prefix(count);
        co_return count;
    }

  private:
    std::string_view text_;
    size_t step_;
};

// Everything that was read; which error comes first may depend on the cut.
Task<std::string> ReadAll(http::BodyReader& body) {
    auto form = aws::FormReader::For(body, "multipart/form-data; boundary=X");
    auto fields = co_await form->ReadFields();
    if (!fields.ok()) {
        co_return "error";
    }
    std::string all = fields->file_name;
    for (const auto& [name, value] : fields->values) {
        all += "\n" + name + "=" + value;
    }
    std::vector<char> piece(100);
    for (;;) {
        const auto read = co_await form->ReadFile(piece);
        if (!read.ok()) {
            co_return "error";
        }
        if (*read == 0) {
            co_return all;
        }
        all.append(piece.data(), *read);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size < 1) {
        return 0;
    }
    const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
    Pieces whole(text, text.size() + 1);
    Pieces parts(text, data[0] % 64 + 1);
    if (testing::RunTask(ReadAll(whole)) != testing::RunTask(ReadAll(parts))) {
        __builtin_trap();
    }
    return 0;
}
