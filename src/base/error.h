#pragma once

#include <source_location>
#include <string>
#include <utility>
#include <vector>

namespace hearth {

// An expected failure, as a value: what the client will see and what the log will say.
//
// An Error is made by a named factory in the `errors.h` of the folder that owns the failure (or by
// the few below), travels up in a Result, and becomes bytes in one place, aws/protocol/errors.cc.
class Error final {
  public:
    // What happened, independent of any protocol; the gateway maps kinds without an AWS code to
    // one.
    enum class Kind {
        kInvalid,        // the caller's request is wrong
        kNotFound,       // what it names is not there
        kConflict,       // the state forbids it now; a storage conflict that outlived its retries
        kDenied,         // not allowed
        kThrottled,      // too much at once; try again
        kUnavailable,    // something we need is down; try again
        kUnimplemented,  // Hearth does not have it
        kInternal,       // our bug or a broken machine
    };

    Error(
        Kind kind,
        std::string code,
        std::string message,
        int http_status,
        std::source_location where = std::source_location::current())
        : kind_(kind),
          code_(std::move(code)),
          message_(std::move(message)),
          http_status_(http_status),
          where_(where) {}

    Kind kind() const { return kind_; }

    // AWS's error code, such as "ResourceNotFoundException"; empty below the services.
    const std::string& code() const { return code_; }

    const std::string& message() const { return message_; }

    int http_status() const { return http_status_; }

    bool is_client_fault() const { return http_status_ < 500; }

    const std::source_location& where() const { return where_; }

    // Further members of the error's wire shape, such as Lambda's "Type".
    const std::vector<std::pair<std::string, std::string>>& fields() const { return fields_; }

    Error&& WithField(std::string name, std::string value) && {
        fields_.emplace_back(std::move(name), std::move(value));
        return std::move(*this);
    }

    // Puts "<context>: " before the message. Add context going up; log once, where it is answered.
    Error&& WithContext(const std::string& context) && {
        message_ = context + ": " + message_;
        return std::move(*this);
    }

  private:
    Kind kind_;
    std::string code_;
    std::string message_;
    int http_status_;
    std::vector<std::pair<std::string, std::string>> fields_;
    std::source_location where_;
};

namespace errors {

// Our bug or a broken machine; answered as the protocol's internal failure.
Error Internal(std::string message, std::source_location where = std::source_location::current());

// Something we depend on is not there now; the caller may try again.
Error Unavailable(
    std::string message, std::source_location where = std::source_location::current());

// A failed system call: "<what>: <strerror>". Takes errno at the call.
Error System(
    std::string what,
    int error_number,
    std::source_location where = std::source_location::current());

// A value below the services that does not parse; services wrap it into their own code.
Error Malformed(std::string message, std::source_location where = std::source_location::current());

}  // namespace errors
}  // namespace hearth
