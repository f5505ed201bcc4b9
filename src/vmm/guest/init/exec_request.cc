#include "vmm/guest/init/exec_request.h"

#include <string.h>

namespace hearth::vmm {
namespace {

constexpr int kDepthMax = 16;

// Strings are unescaped in place: what is written never gets ahead of what is read, because every
// string loses at least its quotes.
class Parser {
  public:
    Parser(char* begin, size_t bytes) : at_(begin), end_(begin + bytes) {}

    const char* error() const { return error_; }

    bool Fail(const char* what) {
        if (error_ == nullptr) {
            error_ = what;
        }
        return false;
    }

    void Space() {
        while (at_ < end_ && (*at_ == ' ' || *at_ == '\t' || *at_ == '\r' || *at_ == '\n')) {
            ++at_;
        }
    }

    bool AtEnd() {
        Space();
        return at_ == end_;
    }

    // Takes `wanted` when it is next.
    bool Take(char wanted) {
        Space();
        if (at_ == end_ || *at_ != wanted) {
            return false;
        }
        ++at_;
        return true;
    }

    bool Word(const char* word) {
        Space();
        const size_t bytes = strlen(word);
        if (static_cast<size_t>(end_ - at_) < bytes || memcmp(at_, word, bytes) != 0) {
            return false;
        }
        at_ += bytes;
        return true;
    }

    char* read_place() {
        Space();
        return at_;
    }

    // A string, written from *target on; *target becomes the place after its last byte. No NUL is
    // written: the caller does it when what comes next has been read.
    bool String(char** target) {
        if (!Take('"')) {
            return Fail("a string is expected");
        }
        char* out = *target;
        while (at_ < end_) {
            const unsigned char c = static_cast<unsigned char>(*at_++);
            if (c == '"') {
                *target = out;
                return true;
            }
            if (c < 0x20) {
                return Fail("a control character in a string");
            }
            if (c != '\\') {
                *out++ = static_cast<char>(c);
            } else if (!Escape(&out)) {
                return false;
            }
        }
        return Fail("a string without its end");
    }

    bool Skip(int depth = 0) {
        Space();
        if (depth > kDepthMax || at_ == end_) {
            return Fail("a value is missing or too deep");
        }
        if (*at_ == '"') {
            char* place = at_;
            return String(&place);
        }
        if (*at_ == '{' || *at_ == '[') {
            return SkipMembers(*at_ == '{', depth);
        }
        const char* begin = at_;
        while (at_ < end_ && strchr(",]} \t\r\n", *at_) == nullptr) {
            ++at_;
        }
        return at_ != begin || Fail("a value is missing");
    }

  private:
    bool SkipMembers(bool object, int depth) {
        ++at_;
        const char close = object ? '}' : ']';
        if (Take(close)) {
            return true;
        }
        do {
            if (object) {
                char* place = read_place();
                if (!String(&place) || !Take(':')) {
                    return Fail("a member has no value");
                }
            }
            if (!Skip(depth + 1)) {
                return false;
            }
        } while (Take(','));
        return Take(close) || Fail("a list or an object has no end");
    }

    bool Hex(unsigned* value) {
        if (end_ - at_ < 4) {
            return Fail("a short \\u");
        }
        *value = 0;
        for (int i = 0; i < 4; ++i) {
            const char c = *at_++;
            unsigned digit = 0;
            if (c >= '0' && c <= '9') {
                digit = static_cast<unsigned>(c - '0');
            } else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f') {
                digit = static_cast<unsigned>((c | 0x20) - 'a') + 10;
            } else {
                return Fail("a \\u that is not hexadecimal");
            }
            *value = *value << 4 | digit;
        }
        return true;
    }

    bool Escape(char** out) {
        if (at_ == end_) {
            return Fail("a string without its end");
        }
        const char c = *at_++;
        constexpr char kNames[] = "\"\\/bfnrt";
        constexpr char kValues[] = "\"\\/\b\f\n\r\t";
        if (const char* found = c == '\0' ? nullptr : strchr(kNames, c); found != nullptr) {
            *(*out)++ = kValues[found - kNames];
            return true;
        }
        unsigned code = 0;
        if (c != 'u' || !Hex(&code)) {
            return Fail("an unknown escape");
        }
        if (code >= 0xdc00 && code < 0xe000) {
            return Fail("half a surrogate pair");
        }
        if (code >= 0xd800 && code < 0xdc00) {
            unsigned low = 0;
            if (end_ - at_ < 2 || *at_++ != '\\' || *at_++ != 'u' || !Hex(&low) || low < 0xdc00 ||
                low > 0xdfff) {
                return Fail("half a surrogate pair");
            }
            code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        }
        if (code == 0) {
            return Fail("a NUL in a string");
        }
        return Utf8(code, out);
    }

    // At most as many bytes as the escape had.
    static bool Utf8(unsigned code, char** out) {
        const auto put = [out](unsigned byte) { *(*out)++ = static_cast<char>(byte); };
        if (code < 0x80) {
            put(code);
        } else if (code < 0x800) {
            put(0xc0 | code >> 6);
            put(0x80 | (code & 0x3f));
        } else if (code < 0x10000) {
            put(0xe0 | code >> 12);
            put(0x80 | (code >> 6 & 0x3f));
            put(0x80 | (code & 0x3f));
        } else {
            put(0xf0 | code >> 18);
            put(0x80 | (code >> 12 & 0x3f));
            put(0x80 | (code >> 6 & 0x3f));
            put(0x80 | (code & 0x3f));
        }
        return true;
    }

    char* at_;
    char* end_;
    const char* error_ = nullptr;
};

bool Text(Parser& parser, char** text) {
    char* end = *text = parser.read_place();
    if (!parser.String(&end)) {
        return false;
    }
    *end = '\0';
    return true;
}

bool Arguments(Parser& parser, GuestExecRequest* request) {
    if (!parser.Take('[')) {
        return parser.Fail("argv is no list");
    }
    if (parser.Take(']')) {
        return true;
    }
    do {
        if (request->argc == kExecArgumentsMax) {
            return parser.Fail("too many arguments");
        }
        if (!Text(parser, &request->argv[request->argc])) {
            return false;
        }
        ++request->argc;
    } while (parser.Take(','));
    return parser.Take(']') || parser.Fail("argv has no end");
}

bool Environment(Parser& parser, GuestExecRequest* request) {
    if (!parser.Take('{')) {
        return parser.Fail("env is no object");
    }
    if (parser.Take('}')) {
        return true;
    }
    do {
        if (request->environment_size == kExecArgumentsMax) {
            return parser.Fail("too many variables");
        }
        char* begin = parser.read_place();
        char* end = begin;
        if (!parser.String(&end) || end == begin || memchr(begin, '=', end - begin) != nullptr) {
            return parser.Fail("a variable without a name");
        }
        if (!parser.Take(':')) {
            return parser.Fail("a variable without a value");
        }
        *end++ = '=';
        if (!parser.String(&end)) {
            return false;
        }
        *end = '\0';
        request->environment[request->environment_size++] = begin;
    } while (parser.Take(','));
    return parser.Take('}') || parser.Fail("env has no end");
}

bool Member(Parser& parser, GuestExecRequest* request) {
    char* name = nullptr;
    char* end = name = parser.read_place();
    if (!parser.String(&end) || !parser.Take(':')) {
        return parser.Fail("a member has no value");
    }
    const auto is = [&](const char* wanted) {
        const size_t bytes = static_cast<size_t>(end - name);
        return strlen(wanted) == bytes && memcmp(name, wanted, bytes) == 0;
    };
    if (is("argv")) {
        request->argc = 0;
        return Arguments(parser, request);
    }
    if (is("env")) {
        request->environment_size = 0;
        return Environment(parser, request);
    }
    if (is("cwd")) {
        char* text = nullptr;
        if (!Text(parser, &text)) {
            return false;
        }
        request->directory = text;
        return true;
    }
    if (is("stdin")) {
        request->with_stdin = parser.Word("true");
        return request->with_stdin || parser.Word("false") || parser.Fail("stdin is no boolean");
    }
    if (is("action")) {
        char* text = nullptr;
        if (!Text(parser, &text)) {
            return false;
        }
        using Action = GuestExecRequest::Action;
        if (strcmp(text, "exec") == 0) {
            request->action = Action::kExec;
        } else if (strcmp(text, "reboot") == 0) {
            request->action = Action::kReboot;
        } else if (strcmp(text, "ping") == 0) {
            request->action = Action::kPing;
        } else {
            return parser.Fail("an unknown action");
        }
        return true;
    }
    return parser.Skip();
}

}  // namespace

const char* ParseExecRequest(char* line, size_t bytes, GuestExecRequest* request) {
    Parser parser(line, bytes);
    request->action = GuestExecRequest::Action::kExec;
    request->argc = request->environment_size = 0;
    request->directory = "";
    request->with_stdin = false;
    bool ok = parser.Take('{') || parser.Fail("not an object");
    if (ok && !parser.Take('}')) {
        do {
            ok = Member(parser, request);
        } while (ok && parser.Take(','));
        ok = ok && (parser.Take('}') || parser.Fail("the object has no end"));
    }
    if (ok && !parser.AtEnd()) {
        parser.Fail("something follows the object");
    }
    request->argv[request->argc] = nullptr;
    request->environment[request->environment_size] = nullptr;
    if (parser.error() == nullptr && request->action == GuestExecRequest::Action::kExec &&
        (request->argc == 0 || request->argv[0][0] == '\0')) {
        parser.Fail("argv is missing");
    }
    return parser.error();
}

}  // namespace hearth::vmm
