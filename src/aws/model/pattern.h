#pragma once

#include <atomic>
#include <string_view>

namespace hearth::aws::model {

// A regular expression of the model, compiled at its first use. `text` is AWS's own spelling, as it
// appears in messages; `re2` is the same in RE2's dialect, empty when RE2 cannot say it
// (look-ahead, back-references): then everything matches and the service checks by itself.
class Pattern final {
  public:
    constexpr Pattern(std::string_view text, std::string_view re2) : text_(text), re2_(re2) {}

    Pattern(const Pattern&) = delete;
    Pattern& operator=(const Pattern&) = delete;

    std::string_view text() const { return text_; }

    // Whether the whole of `value` matches. Any thread; never freed, as the tables live for ever.
    bool Matches(std::string_view value) const;

    // False when RE2 refuses the expression; for the test that goes over all of them.
    bool Compiles() const;

  private:
    std::string_view text_;
    std::string_view re2_;
    // An RE2, set once.
    mutable std::atomic<const void*> compiled_{nullptr};
};

}  // namespace hearth::aws::model
