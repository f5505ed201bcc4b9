#pragma once

#include "base/result.h"

#include <memory>
#include <string>

struct ssl_ctx_st;

namespace hearth::http {

// A server's certificate and how it speaks TLS: 1.2 and 1.3, HTTP/1.1 only, sessions resumed by
// ticket. Shared by all loops; immutable once made.
class TlsContext final {
  public:
    // `certificate` is the chain, leaf first; both in PEM.
    static Result<std::shared_ptr<TlsContext>> FromPem(
        const std::string& certificate, const std::string& key);

    explicit TlsContext(ssl_ctx_st* context) : context_(context) {}

    ~TlsContext();

    TlsContext(const TlsContext&) = delete;
    TlsContext& operator=(const TlsContext&) = delete;

    ssl_ctx_st* get() const { return context_; }

  private:
    ssl_ctx_st* context_;
};

}  // namespace hearth::http
