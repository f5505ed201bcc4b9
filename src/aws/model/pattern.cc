#include "aws/model/pattern.h"

#include "base/log.h"

#include <re2/re2.h>

namespace hearth::aws::model {
namespace {

const RE2* Compile(std::string_view text) {
    RE2::Options options;
    options.set_log_errors(false);
    options.set_dot_nl(false);
    return new RE2(re2::StringPiece(text.data(), text.size()), options);
}

const RE2* CompiledOnce(std::string_view text, std::atomic<const void*>& slot) {
    if (const void* found = slot.load(std::memory_order_acquire)) {
        return static_cast<const RE2*>(found);
    }
    const RE2* made = Compile(text);
    const void* expected = nullptr;
    if (!slot.compare_exchange_strong(expected, made, std::memory_order_acq_rel)) {
        delete made;
        return static_cast<const RE2*>(expected);
    }
    if (!made->ok()) {
        log::Error("model: pattern {} does not compile: {}", text, made->error());
    }
    return made;
}

}  // namespace

bool Pattern::Matches(std::string_view value) const {
    if (re2_.empty()) {
        return true;
    }
    const RE2* compiled = CompiledOnce(re2_, compiled_);
    return !compiled->ok() ||
           RE2::FullMatch(re2::StringPiece(value.data(), value.size()), *compiled);
}

bool Pattern::Compiles() const {
    return re2_.empty() || CompiledOnce(re2_, compiled_)->ok();
}

}  // namespace hearth::aws::model
