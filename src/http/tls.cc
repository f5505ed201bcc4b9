#include "http/tls.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include <array>
#include <cstring>

namespace hearth::http {

namespace {

std::string LastOpenSslError() {
    std::array<char, 256> text{};
    ERR_error_string_n(ERR_get_error(), text.data(), text.size());
    ERR_clear_error();
    return text.data();
}

struct Free {
    void operator()(BIO* bio) const { BIO_free(bio); }

    void operator()(X509* certificate) const { X509_free(certificate); }

    void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};

std::unique_ptr<BIO, Free> MemoryBio(const std::string& text) {
    return std::unique_ptr<BIO, Free>(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

// HTTP/1.1 is the one protocol spoken here; a client that offers others only is answered without
// ALPN.
int SelectAlpn(
    SSL*,
    const unsigned char** out,
    unsigned char* out_size,
    const unsigned char* in,
    unsigned int in_size,
    void*) {
    static constexpr unsigned char kHttp11[] = {8, 'h', 't', 't', 'p', '/', '1', '.', '1'};
    unsigned char* selected = nullptr;
    if (SSL_select_next_proto(&selected, out_size, kHttp11, sizeof kHttp11, in, in_size) !=
        OPENSSL_NPN_NEGOTIATED) {
        return SSL_TLSEXT_ERR_NOACK;
    }
    *out = selected;
    return SSL_TLSEXT_ERR_OK;
}

}  // namespace

Result<std::shared_ptr<TlsContext>> TlsContext::FromPem(
    const std::string& certificate, const std::string& key) {
    ERR_clear_error();
    auto context = std::make_shared<TlsContext>(SSL_CTX_new(TLS_server_method()));
    SSL_CTX* const ssl = context->get();
    if (ssl == nullptr) {
        return errors::Internal("cannot set up TLS: " + LastOpenSslError());
    }
    SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION);
    SSL_CTX_set_mode(
        ssl,
        SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
            SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_options(
        ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_IGNORE_UNEXPECTED_EOF);
    // One read per record instead of one for its header and one for its body.
    SSL_CTX_set_read_ahead(ssl, 1);
    // Tickets are encrypted by a key of this context, so nothing is kept per client.
    SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
    static constexpr unsigned char kSessionContext[] = "hearth";
    SSL_CTX_set_session_id_context(ssl, kSessionContext, sizeof kSessionContext - 1);
    SSL_CTX_set_num_tickets(ssl, 1);
    SSL_CTX_set_alpn_select_cb(ssl, SelectAlpn, nullptr);

    const auto certificate_bio = MemoryBio(certificate);
    const std::unique_ptr<X509, Free> leaf(
        PEM_read_bio_X509(certificate_bio.get(), nullptr, nullptr, nullptr));
    if (leaf == nullptr || SSL_CTX_use_certificate(ssl, leaf.get()) != 1) {
        return errors::Malformed("not a PEM certificate: " + LastOpenSslError());
    }
    while (X509* const chained =
               PEM_read_bio_X509(certificate_bio.get(), nullptr, nullptr, nullptr)) {
        if (SSL_CTX_add0_chain_cert(ssl, chained) != 1) {
            X509_free(chained);
            return errors::Malformed("cannot use the certificate's chain: " + LastOpenSslError());
        }
    }
    // The end of the file is an error to OpenSSL.
    ERR_clear_error();
    const auto key_bio = MemoryBio(key);
    const std::unique_ptr<EVP_PKEY, Free> private_key(
        PEM_read_bio_PrivateKey(key_bio.get(), nullptr, nullptr, nullptr));
    if (private_key == nullptr) {
        return errors::Malformed("not a PEM private key: " + LastOpenSslError());
    }
    if (X509_check_private_key(leaf.get(), private_key.get()) != 1) {
        ERR_clear_error();
        return errors::Malformed("the private key does not belong to the certificate");
    }
    if (SSL_CTX_use_PrivateKey(ssl, private_key.get()) != 1) {
        return errors::Malformed("cannot use the private key: " + LastOpenSslError());
    }
    return context;
}

TlsContext::~TlsContext() {
    SSL_CTX_free(context_);
}

}  // namespace hearth::http
