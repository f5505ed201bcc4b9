#pragma once

#include "base/result.h"
#include "os/fd.h"
#include "rt/task.h"

#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <sys/uio.h>

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <tuple>

struct ssl_st;

namespace hearth::http {

class TlsContext;

// The bytes of one connection, plain or TLS. On its loop.
class Transport final {
  public:
    // What a read gave: bytes, and 0 with or without an error at the end.
    using ReadResult = std::tuple<boost::system::error_code, size_t>;

    // `socket` is non-blocking and connected.
    Transport(boost::asio::io_context& context, os::Fd socket, int family);
    ~Transport();

    Transport(const Transport&) = delete;
    Transport& operator=(const Transport&) = delete;

    // Looks at the first byte and speaks TLS if the client does. False: the handshake failed.
    Task<bool> StartTlsIfAsked(TlsContext& context);

    bool secure() const { return ssl_ != nullptr; }

    Task<ReadResult> ReadSome(std::span<char> into);
    // As ReadSome, when probably nothing has come yet: over TLS it saves a read in vain.
    Task<ReadResult> ReadNext(std::span<char> into);

    // Bytes taken without blocking, from the front; -1 when the connection is broken.
    ssize_t TryWrite(std::span<const iovec> pieces);
    // After a TryWrite that took less than offered.
    Task<void> WaitWritable();

    // Calls `gone` once, when the peer closes; CancelWatch silences it.
    void WatchClose(std::shared_ptr<std::function<void()>> gone);
    void CancelWatch();

    // No more bytes to the peer.
    void CloseSending();
    // Reads see the end; what is being sent still goes out.
    void CloseReceiving();
    // Reads and writes end at once.
    void Break();

  private:
    Task<ReadResult> ReadTls(std::span<char> into, bool wait_first);
    Task<bool> HandshakeTls();
    ssize_t TryWriteTls(std::span<const iovec> pieces);
    bool PeerHasClosed(bool* has_data);

    boost::asio::generic::stream_protocol::socket socket_;
    ssl_st* ssl_ = nullptr;
};

// "192.0.2.1" for a connected socket; empty when it has no address.
std::string PeerAddress(int socket);

}  // namespace hearth::http
