#pragma once

#include "aws/front/context.h"
#include "base/result.h"
#include "rt/task.h"

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// Hearth's own endpoints below /_hearth/, for the CLI and operators. All but GET /_hearth/health
// need, in enforce mode, a signature of an account's root key (service name "hearth").
namespace hearth::aws {

struct AdminRequest {
    std::string method;
    std::string path;  // decoded, from "/_hearth/"
    std::map<std::string, std::string> query;
    std::string body;
    Caller caller;
    AccountId account{kRootAccount};
    Region region{kDefaultRegion};

    // Empty when it is not there.
    std::string Query(const std::string& name) const {
        const auto it = query.find(name);
        return it == query.end() ? std::string() : it->second;
    }
};

// Where a streamed answer goes, in chunks. An error means that the client went away.
class AdminStream {
  public:
    virtual ~AdminStream() = default;
    virtual Task<Status> Write(std::string bytes) = 0;
};

struct AdminAnswer {
    int status = 200;
    std::string content_type = "application/json";
    std::string body;
    std::vector<std::pair<std::string, std::string>> headers;
    // When set, `body` is not used: it is called once and writes until it returns. One that goes on
    // for long must return when the cloud stops (AdminEndpoints::OnStop).
    std::function<Task<void>(AdminStream&)> stream;
};

class AdminEndpoints final {
  public:
    using Handler = std::function<Task<Result<AdminAnswer>>(AdminRequest)>;

    // `path` such as "/_hearth/functions"; ending in a slash it takes everything below. Before the
    // gateway starts.
    void Add(std::string method, std::string path, Handler handler);
    // One that needs no signature in any mode, because its handler checks what the caller has to
    // know (a sealed token in the query, say).
    void AddUnsigned(std::string method, std::string path, Handler handler);

    // `end_streams` makes the streamed answers of its owner return; called from any loop when the
    // cloud begins to stop, before requests under way are waited for.
    void OnStop(std::function<void()> end_streams);
    void BeginStop() const;

    struct Found {
        const Handler* handler = nullptr;
        bool path_known = false;
        bool is_unsigned = false;
    };

    // An exact path wins over a prefix, the longest prefix over others.
    Found Find(std::string_view method, std::string_view path) const;

  private:
    std::vector<std::function<void()>> on_stop_;

    struct Endpoint {
        Handler handler;
        bool is_unsigned = false;
    };

    using Methods = std::map<std::string, Endpoint, std::less<>>;

    void AddEndpoint(std::string method, std::string path, Endpoint endpoint);

    std::map<std::string, Methods, std::less<>> exact_;
    std::map<std::string, Methods, std::less<>> prefixes_;
};

}  // namespace hearth::aws
