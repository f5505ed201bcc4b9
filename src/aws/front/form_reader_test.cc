#include "aws/front/form_reader.h"

#include "testing/run_task.h"

#include <gtest/gtest.h>

namespace hearth::aws {
namespace {

// A body that comes in pieces of a few bytes.
class Pieces final : public http::BodyReader {
  public:
    Pieces(std::string text, size_t step) : text_(std::move(text)), step_(step) {}

    std::optional<uint64_t> Length() const override { return text_.size(); }

    Task<Result<size_t>> Read(std::span<char> into) override {
        const size_t count = std::min({step_, into.size(), text_.size() - at_});
        text_.copy(into.data(), count, at_);
        at_ += count;
        co_return count;
    }

  private:
    std::string text_;
    size_t step_;
    size_t at_ = 0;
};

struct Outcome {
    std::string code;
    FormReader::Fields fields;
    std::string file;
};

Task<Outcome> ReadAll(http::BodyReader& body) {
    Outcome outcome;
    auto form = FormReader::For(body, "multipart/form-data; boundary=XX");
    auto fields = co_await form->ReadFields();
    if (!fields.ok()) {
        outcome.code = fields.error().code();
        co_return outcome;
    }
    outcome.fields = *std::move(fields);
    std::vector<char> piece(1000);
    for (;;) {
        const auto read = co_await form->ReadFile(piece);
        if (!read.ok()) {
            outcome.code = read.error().code();
            co_return outcome;
        }
        if (*read == 0) {
            co_return outcome;
        }
        outcome.file.append(piece.data(), *read);
    }
}

Outcome Read(std::string text, size_t step = 100'000) {
    Pieces body(std::move(text), step);
    return testing::RunTask(ReadAll(body));
}

std::string Field(std::string_view name, std::string_view value) {
    return "--XX\r\nContent-Disposition: form-data; name=\"" + std::string(name) + "\"\r\n\r\n" +
           std::string(value) + "\r\n";
}

std::string File(std::string_view name, std::string_view bytes) {
    return "--XX\r\ncontent-disposition: form-data; name=\"file\"; filename=\"" +
           std::string(name) + "\"\r\nContent-Type: text/plain\r\n\r\n" + std::string(bytes) +
           "\r\n";
}

TEST(FormReader, ReadsFieldsAndTheFileHoweverTheyCome) {
    // Bytes that look like the beginning of a delimiter belong to the file.
    const std::string bytes = "a\r\n--X\r\n--XY\r\n-\r\r\n" + std::string(200'000, '\r') + "end";
    const std::string text =
        Field("key", "a/${filename}") + Field("X-Amz-Meta-Note", "two\r\nlines") +
        File("C:\\dir\\b.txt", bytes) + Field("after", "ignored") + "--XX--\r\n";
    for (const size_t step : {1, 3, 7, 64, 65'536, 1'000'000}) {
        const Outcome outcome = Read(text, step);
        ASSERT_EQ(outcome.code, "") << step;
        ASSERT_EQ(outcome.fields.values.size(), 2U);
        EXPECT_EQ(outcome.fields.values[0].first, "key");
        EXPECT_EQ(outcome.fields.values[0].second, "a/${filename}");
        EXPECT_EQ(outcome.fields.values[1].first, "x-amz-meta-note");
        EXPECT_EQ(outcome.fields.values[1].second, "two\r\nlines");
        EXPECT_EQ(outcome.fields.file_name, "b.txt");
        EXPECT_EQ(outcome.file, bytes) << step;
    }
}

TEST(FormReader, TakesAnEmptyFileAndNamesWithQuotes) {
    const Outcome outcome = Read(File("a\\\"b.txt", "") + "--XX--");
    EXPECT_EQ(outcome.code, "");
    EXPECT_EQ(outcome.file, "");
    EXPECT_EQ(outcome.fields.file_name, "a\"b.txt");
}

TEST(FormReader, RefusesWhatIsNoForm) {
    EXPECT_EQ(Read("").code, "MalformedPOSTRequest");
    EXPECT_EQ(Read("hello").code, "MalformedPOSTRequest");
    EXPECT_EQ(Read("--XY\r\n").code, "MalformedPOSTRequest");
    EXPECT_EQ(Read(Field("key", "a")).code, "MalformedPOSTRequest");
    EXPECT_EQ(Read(Field("key", "a") + "--XX--\r\n").code, "InvalidArgument");
    EXPECT_EQ(Read("--XX\r\nX: y\r\n\r\nvalue\r\n--XX--").code, "MalformedPOSTRequest");
    EXPECT_EQ(Read("--XX\r\n" + std::string(10'000, 'h')).code, "MalformedPOSTRequest");
    EXPECT_EQ(
        Read(Field("key", std::string(30'000, 'k'))).code, "MaxPostPreDataLengthExceededError");
    std::string many;
    for (int i = 0; i < 300; ++i) {
        many += Field("f", "v");
    }
    EXPECT_EQ(Read(many).code, "MaxPostPreDataLengthExceededError");
    // The end of the body is not the end of the file.
    EXPECT_EQ(Read(File("a", "bytes")).code, "IncompleteBody");
}

TEST(FormReader, WantsABoundary) {
    http::TextBody body("");
    EXPECT_TRUE(FormReader::For(body, "multipart/form-data; boundary=\"a b\""));
    EXPECT_TRUE(FormReader::For(body, "Multipart/Form-Data; charset=utf-8; Boundary=a"));
    EXPECT_FALSE(FormReader::For(body, "multipart/form-data"));
    EXPECT_FALSE(FormReader::For(body, "multipart/form-data; boundary="));
    EXPECT_FALSE(FormReader::For(body, "multipart/form-data; boundary=" + std::string(80, 'x')));
    EXPECT_FALSE(FormReader::For(body, "application/xml; boundary=a"));
    EXPECT_FALSE(FormReader::For(body, ""));
}

}  // namespace
}  // namespace hearth::aws
