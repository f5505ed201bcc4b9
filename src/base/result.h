#pragma once

#include "base/check.h"
#include "base/error.h"

#include <expected>
#include <utility>

namespace hearth {

// A value or an Error. [[nodiscard]] on the class, so `co_await Foo();` that drops a Result warns.
template <class T>
class [[nodiscard]] Result final {
  public:
    using Value = T;

    Result(T value) : state_(std::move(value)) {}

    Result(Error error) : state_(std::unexpected(std::move(error))) {}

    template <class U>
        requires(
            std::is_constructible_v<T, U &&> && !std::is_same_v<std::remove_cvref_t<U>, Result> &&
            !std::is_same_v<std::remove_cvref_t<U>, Error> &&
            !std::is_same_v<std::remove_cvref_t<U>, T> && std::is_convertible_v<U &&, T>)
    Result(U&& value) : state_(T(std::forward<U>(value))) {}

    bool ok() const { return state_.has_value(); }

    explicit operator bool() const { return ok(); }

    T& value() & {
        CHECK(ok(), "Result read without a value: {}", error().message());
        return *state_;
    }

    const T& value() const& {
        CHECK(ok(), "Result read without a value: {}", error().message());
        return *state_;
    }

    T&& value() && {
        CHECK(ok(), "Result read without a value: {}", error().message());
        return std::move(*state_);
    }

    T& operator*() & { return value(); }

    const T& operator*() const& { return value(); }

    T&& operator*() && { return std::move(*this).value(); }

    T* operator->() { return &value(); }

    const T* operator->() const { return &value(); }

    const Error& error() const& { return state_.error(); }

    Error&& error() && { return std::move(state_.error()); }

  private:
    std::expected<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> final {
  public:
    using Value = void;

    Result() = default;

    Result(Error error) : state_(std::unexpected(std::move(error))) {}

    bool ok() const { return state_.has_value(); }

    explicit operator bool() const { return ok(); }

    void value() const { CHECK(ok(), "Result read without a value: {}", error().message()); }

    const Error& error() const& { return state_.error(); }

    Error&& error() && { return std::move(state_.error()); }

  private:
    std::expected<void, Error> state_;
};

using Status = Result<void>;

}  // namespace hearth

#define HEARTH_CONCAT_INNER(a, b) a##b
#define HEARTH_CONCAT(a, b) HEARTH_CONCAT_INNER(a, b)

// HEARTH_TRY(auto q, Find(name)); declares q from the value or returns the error.
// HEARTH_CO_TRY is the same inside a coroutine: HEARTH_CO_TRY(auto q, co_await store_.Find(name));
#define HEARTH_TRY_WITH(ret, tmp, declaration, ...) \
    auto tmp = (__VA_ARGS__);                       \
    if (!tmp.ok()) {                                \
        ret std::move(tmp).error();                 \
    }                                               \
    declaration = *std::move(tmp)
#define HEARTH_TRY(declaration, ...) \
    HEARTH_TRY_WITH(return, HEARTH_CONCAT(hearth_try_, __LINE__), declaration, __VA_ARGS__)
#define HEARTH_CO_TRY(declaration, ...) \
    HEARTH_TRY_WITH(co_return, HEARTH_CONCAT(hearth_try_, __LINE__), declaration, __VA_ARGS__)

// HEARTH_RETURN_IF_ERROR(Write(x)); for results whose value nobody needs. CO_ inside a coroutine.
#define HEARTH_RETURN_IF_ERROR_WITH(ret, tmp, ...) \
    do {                                           \
        if (auto tmp = (__VA_ARGS__); !tmp.ok()) { \
            ret std::move(tmp).error();            \
        }                                          \
    } while (false)
#define HEARTH_RETURN_IF_ERROR(...) \
    HEARTH_RETURN_IF_ERROR_WITH(return, HEARTH_CONCAT(hearth_rie_, __LINE__), __VA_ARGS__)
#define HEARTH_CO_RETURN_IF_ERROR(...) \
    HEARTH_RETURN_IF_ERROR_WITH(co_return, HEARTH_CONCAT(hearth_rie_, __LINE__), __VA_ARGS__)
