"""The Python runtime: fetches invocations from the Runtime API and gives them to the function's handler.

It behaves as AWS's own (awslambdaric) as far as a handler or a caller can see. Two things are different
inside, both for speed: the interpreter is started without the site module, and modules that only some
functions need (logging, traceback) are prepared when the function imports them, not before.
"""

import _socket
import os
import sys
import time

_LANGUAGE = "%d.%d" % sys.version_info[:2]


def _paths():
    """sys.path as a function on AWS finds it, plus the directories that `site` would have added."""
    task_root = os.environ.get("LAMBDA_TASK_ROOT", "/var/task")
    runtime = os.path.dirname(os.path.abspath(__file__))
    # A layer is made for the runtime that the function asks for, whichever interpreter serves it.
    asked = os.environ.get("AWS_EXECUTION_ENV", "").partition("AWS_Lambda_python")[2] or _LANGUAGE
    layers = ["/opt/python/lib/python%s/site-packages" % version for version in (asked, _LANGUAGE)]
    layers.append("/opt/python")
    given = [p for p in os.environ.get("PYTHONPATH", "").split(os.pathsep) if p]
    standard = [p for p in sys.path[1:] if p not in given]
    site = [
        "%s/lib/python%s/site-packages" % (sys.prefix, _LANGUAGE),
        "/usr/local/lib/python%s/dist-packages" % _LANGUAGE,
        # Debian's boto3.
        "/usr/lib/python3/dist-packages",
    ]
    boto = [os.path.join(runtime, "site-packages")]
    path = []
    for entry in [task_root, *given, *layers, runtime, *boto, *standard, *site]:
        if entry in path:
            continue
        # A missing directory would cost a failed look-up for every import.
        if entry in (task_root, runtime) or entry in standard or os.path.isdir(entry):
            path.append(entry)
    return path


class Fault(Exception):
    """An error of the runtime's own, with AWS's name for it."""

    MARSHAL_ERROR = "Runtime.MarshalError"
    UNMARSHAL_ERROR = "Runtime.UnmarshalError"
    USER_CODE_SYNTAX_ERROR = "Runtime.UserCodeSyntaxError"
    HANDLER_NOT_FOUND = "Runtime.HandlerNotFound"
    IMPORT_MODULE_ERROR = "Runtime.ImportModuleError"
    BUILT_IN_MODULE_CONFLICT = "Runtime.BuiltInModuleConflict"
    MALFORMED_HANDLER_NAME = "Runtime.MalformedHandlerName"
    LAMBDA_CONTEXT_UNMARSHAL_ERROR = "Runtime.LambdaContextUnmarshalError"

    def __init__(self, exception_type, msg, trace=None):
        super().__init__(msg)
        self.exception_type = exception_type
        self.msg = msg
        self.trace = trace


# ----------------------------------------------------------------------------------- Runtime API client


class RuntimeApi:
    """One kept connection; http.client would cost half a millisecond per call."""

    def __init__(self, address):
        host, _, port = address.rpartition(":")
        self._address = (host, int(port))
        self._host = address
        self._socket = None
        self._buffer = b""
        self._next = self._make_next("")

    def _make_next(self, query):
        return (
            "GET /2018-06-01/runtime/invocation/next%s HTTP/1.1\r\nHost: %s\r\n"
            "User-Agent: hearth-python/%s\r\n\r\n" % (query, self._host, _LANGUAGE)
        ).encode()

    def next(self):
        """(headers, body) of the next invocation; header names are bytes in lower case."""
        return self._ask_next(self._next)

    def first(self):
        """As next, in a copy that was not told that it is one. It may get an event that nobody sent, whose
        request id is "rehearsal", ahead of any call."""
        return self._ask_next(self._make_next("?rehearse"))

    def _ask_next(self, request):
        status, headers, body = self._call(request)
        if status != 200:
            raise RuntimeError("Runtime API: next answered %d" % status)
        return headers, body

    def restore_next(self):
        """Ends when the environment was made from its snapshot. True: ahead of any call."""
        status, headers, _ = self._get_restore("next")
        if status != 200:
            raise RuntimeError("Runtime API: restore/next answered %d" % status)
        return headers.get(b"hearth-restored") == b"ahead"

    def rehearsal(self):
        """What next() gives, made up; None where there is none."""
        status, headers, body = self._get_restore("rehearsal")
        return (headers, body) if status == 200 else None

    def _get_restore(self, what):
        return self._call(
            (
                "GET /2018-06-01/runtime/restore/%s HTTP/1.1\r\nHost: %s\r\n\r\n" % (what, self._host)
            ).encode()
        )

    def restore_error(self, body, error_type):
        return self._post("/2018-06-01/runtime/restore/error", body, error_type)

    def respond(self, request_id, body):
        return self._post("/2018-06-01/runtime/invocation/%s/response" % request_id, body, "")

    def fail(self, request_id, body, error_type):
        return self._post(
            "/2018-06-01/runtime/invocation/%s/error" % request_id, body, error_type
        )

    def init_error(self, body, error_type):
        return self._post("/2018-06-01/runtime/init/error", body, error_type)

    def _post(self, path, body, error_type):
        head = "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\n" % (
            path,
            self._host,
        )
        if error_type:
            head += "Lambda-Runtime-Function-Error-Type: %s\r\n" % error_type
        head += "Content-Length: %d\r\n\r\n" % len(body)
        return self._call(head.encode("utf-8", "replace") + body)

    def _call(self, request):
        for attempt in (0, 1):
            try:
                if self._socket is None:
                    self._connect()
                sent = self._socket.send(request)
                if sent < len(request):
                    self._socket.sendall(memoryview(request)[sent:])
                return self._read()
            except ConnectionError:
                self._socket = None
                if attempt == 1:
                    raise

    def _connect(self):
        connection = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
        connection.connect(self._address)
        connection.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
        self._socket = connection
        self._buffer = b""

    def _read(self):
        data = self._buffer
        receive = self._socket.recv
        end = data.find(b"\r\n\r\n")
        while end < 0:
            more = receive(65536)
            if not more:
                raise ConnectionResetError("Runtime API: connection closed")
            data += more
            end = data.find(b"\r\n\r\n")
        lines = data[:end].split(b"\r\n")
        status = int(lines[0][9:12])
        headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(b":")
            headers[name.lower()] = value.strip()
        length = int(headers.get(b"content-length", 0))
        start = end + 4
        if len(data) - start < length:
            parts = [data[start:]]
            missing = length - len(parts[0])
            while missing > 0:
                more = receive(min(missing, 1 << 20))
                if not more:
                    raise ConnectionResetError("Runtime API: connection closed")
                parts.append(more)
                missing -= len(more)
            self._buffer = b""
            return status, headers, b"".join(parts)
        self._buffer = data[start + length :]
        return status, headers, data[start : start + length]


# --------------------------------------------------------------------------------------------- the log


class LogSink:
    """Standard output. A message of several lines is sent as one frame, so that it stays one event:
    0xA55A0003, length and time in microseconds (big-endian), text."""

    def __init__(self, stream):
        self._stream = stream

    def log(self, message):
        if message.endswith("\n"):
            message = message[:-1]
        if "\n" not in message:
            self._stream.write(message + "\n")
            return
        data = message.encode("utf-8", "replace")
        frame = (
            b"\xa5\x5a\x00\x03"
            + len(data).to_bytes(4, "big")
            + int(time.time() * 1000000).to_bytes(8, "big")
            + data
        )
        self._stream.flush()
        view = memoryview(frame)
        while view:
            view = view[os.write(1, view) :]

    def log_error(self, lines):
        self.log("\n".join(lines))


_request_id = None
_log_sink = None
_log_format = "TEXT"
_log_level = ""


def _now_text():
    now = time.time()
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + ".%03dZ" % (now * 1000 % 1000)


def _set_up_logging(logging):
    """Runs right after the function has imported `logging`."""
    levels = {
        "TRACE": logging.NOTSET,
        "DEBUG": logging.DEBUG,
        "INFO": logging.INFO,
        "WARN": logging.WARNING,
        "ERROR": logging.ERROR,
        "FATAL": logging.CRITICAL,
    }

    class LambdaLoggerHandler(logging.Handler):
        def __init__(self, log_sink):
            logging.Handler.__init__(self)
            self.log_sink = log_sink

        def emit(self, record):
            self.log_sink.log(self.format(record))

    class LambdaLoggerFilter(logging.Filter):
        def filter(self, record):
            record.aws_request_id = _request_id or ""
            return True

    reserved = frozenset(
        (
            "name msg args levelname levelno pathname filename module exc_info exc_text stack_info "
            "lineno funcName created msecs relativeCreated thread threadName processName process "
            "aws_request_id taskName tenant_id _frame_type"
        ).split()
    )

    class JsonFormatter(logging.Formatter):
        def __init__(self):
            super().__init__(datefmt="%Y-%m-%dT%H:%M:%SZ")

        def format(self, record):
            import traceback

            info = record.exc_info
            result = {
                "timestamp": self.formatTime(record, self.datefmt),
                "level": record.levelname,
                "message": record.getMessage(),
                "logger": record.name,
                "stackTrace": traceback.format_tb(info[2]) if info else None,
                "errorType": info[0].__name__ if info and info[0] else None,
                "errorMessage": str(info[1]) if info else None,
                "requestId": getattr(record, "aws_request_id", None),
                "location": (
                    "%s:%s:%d" % (record.pathname, record.funcName, record.lineno) if info else None
                ),
            }
            for key, value in record.__dict__.items():
                if key not in reserved and key not in result:
                    result[key] = value
            kept = {key: value for key, value in result.items() if value is not None}
            return _json().dumps(kept, ensure_ascii=False, default=str) + "\n"

    logging.Formatter.converter = time.gmtime
    handler = LambdaLoggerHandler(_log_sink)
    if _log_format == "JSON":
        handler.setFormatter(JsonFormatter())
    else:
        handler.setFormatter(
            logging.Formatter(
                "[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s\n",
                "%Y-%m-%dT%H:%M:%S",
            )
        )
    handler.addFilter(LambdaLoggerFilter())
    root = logging.getLogger()
    if _log_level in levels:
        root.setLevel(levels[_log_level])
    root.addHandler(handler)


def _set_up_botocore(session):
    """botocore before 1.31 does not know AWS_ENDPOINT_URL; without it a call would leave for the real AWS."""
    import botocore

    try:
        version = tuple(int(part) for part in botocore.__version__.split(".")[:2])
    except ValueError:
        return
    if version >= (1, 31):
        return
    original = session.Session.create_client

    def create_client(
        self, service_name, region_name=None, api_version=None, use_ssl=True, verify=None,
        endpoint_url=None, *args, **kwargs
    ):
        ignore = os.environ.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "").lower() == "true"
        if endpoint_url is None and not ignore:
            name = service_name.replace("-", "_").replace(" ", "_").upper()
            endpoint_url = os.environ.get("AWS_ENDPOINT_URL_" + name) or os.environ.get(
                "AWS_ENDPOINT_URL"
            )
        return original(
            self, service_name, region_name, api_version, use_ssl, verify, endpoint_url, *args, **kwargs
        )

    session.Session.create_client = create_client


class _AfterImport:
    """A finder that prepares a module right after its first import."""

    def __init__(self, prepare):
        self._prepare = prepare

    def find_spec(self, name, path=None, target=None):
        if name not in self._prepare:
            return None
        prepare = self._prepare.pop(name)
        if not self._prepare:
            sys.meta_path.remove(self)
        for finder in sys.meta_path:
            if finder is self or not hasattr(finder, "find_spec"):
                continue
            spec = finder.find_spec(name, path, target)
            if spec is not None:
                break
        else:
            return None
        loader = spec.loader
        execute = getattr(loader, "exec_module", None)
        if execute is None:
            return spec

        def exec_module(module):
            # The module's loader must look untouched afterwards (resources, pickling).
            del loader.exec_module
            execute(module)
            prepare(module)

        try:
            loader.exec_module = exec_module
        except AttributeError:
            # A loader that cannot carry attributes (a frozen module's class).
            spec.loader = _Wrapped(loader, exec_module)
        return spec


class _Wrapped:
    def __init__(self, loader, exec_module):
        self._loader = loader
        self._exec = exec_module

    def create_module(self, spec):
        return self._loader.create_module(spec)

    def exec_module(self, module):
        self._loader.exec_module(module)

    def __getattr__(self, name):
        return getattr(self._loader, name)


# --------------------------------------------------------------------------------------- the context


class CognitoIdentity:
    __slots__ = ["cognito_identity_id", "cognito_identity_pool_id"]

    def __repr__(self):
        return "CognitoIdentity([cognito_identity_id=%s,cognito_identity_pool_id=%s])" % (
            self.cognito_identity_id,
            self.cognito_identity_pool_id,
        )


class Client:
    __slots__ = [
        "installation_id",
        "app_title",
        "app_version_name",
        "app_version_code",
        "app_package_name",
    ]

    def __repr__(self):
        return "Client([installation_id=%s,app_title=%s,app_version_name=%s,app_version_code=%s,app_package_name=%s])" % (
            self.installation_id,
            self.app_title,
            self.app_version_name,
            self.app_version_code,
            self.app_package_name,
        )


class ClientContext:
    __slots__ = ["custom", "env", "client"]

    def __repr__(self):
        return "ClientContext([custom=%s,env=%s,client=%s])" % (self.custom, self.env, self.client)


def _object_of(kind, values):
    if values is None:
        return None
    made = kind()
    for field in kind.__slots__:
        setattr(made, field, values.get(field))
    return made


class LambdaContext:
    def __init__(
        self,
        invoke_id,
        client_context,
        cognito_identity,
        epoch_deadline_time_in_ms,
        invoked_function_arn=None,
    ):
        environment = os.environ
        self.aws_request_id = invoke_id
        self.log_group_name = environment.get("AWS_LAMBDA_LOG_GROUP_NAME")
        self.log_stream_name = environment.get("AWS_LAMBDA_LOG_STREAM_NAME")
        self.function_name = environment.get("AWS_LAMBDA_FUNCTION_NAME")
        self.memory_limit_in_mb = environment.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE")
        self.function_version = environment.get("AWS_LAMBDA_FUNCTION_VERSION")
        self.invoked_function_arn = invoked_function_arn
        self.tenant_id = None
        self.client_context = _object_of(ClientContext, client_context)
        if self.client_context is not None:
            self.client_context.client = _object_of(Client, self.client_context.client)
        self.identity = _object_of(CognitoIdentity, {})
        if cognito_identity is not None:
            self.identity.cognito_identity_id = cognito_identity.get("cognitoIdentityId")
            self.identity.cognito_identity_pool_id = cognito_identity.get("cognitoIdentityPoolId")
        self._epoch_deadline_time_in_ms = epoch_deadline_time_in_ms

    def get_remaining_time_in_millis(self):
        remaining = self._epoch_deadline_time_in_ms - int(time.time() * 1000)
        return remaining if remaining > 0 else 0

    def log(self, msg):
        _log_sink.log(str(msg))

    def __repr__(self):
        return (
            "LambdaContext([aws_request_id=%s,log_group_name=%s,log_stream_name=%s,function_name=%s,"
            "memory_limit_in_mb=%s,function_version=%s,invoked_function_arn=%s,client_context=%s,"
            "identity=%s,tenant_id=%s])"
            % (
                self.aws_request_id,
                self.log_group_name,
                self.log_stream_name,
                self.function_name,
                self.memory_limit_in_mb,
                self.function_version,
                self.invoked_function_arn,
                self.client_context,
                self.identity,
                self.tenant_id,
            )
        )


# ------------------------------------------------------------------------------------------ marshalling


def _json():
    import json

    return json


class _ScanOptions:
    """What json.JSONDecoder tells its scanner."""

    strict = True
    object_hook = None
    object_pairs_hook = None
    parse_float = float
    parse_int = int
    parse_constant = {"-Infinity": float("-inf"), "Infinity": float("inf"), "NaN": float("nan")}.__getitem__


class Marshaller:
    """Events and answers. It uses the C halves of `json` directly: the module itself brings `re` and `enum`
    along, 7 ms of a cold start, which only functions that import it should pay for."""

    def __init__(self):
        # From 3.12 on AWS answers UTF-8 as it is.
        name = os.environ.get("AWS_EXECUTION_ENV", "AWS_Lambda_python" + _LANGUAGE)
        try:
            minor = int(name.rsplit("3.", 1)[1])
        except (IndexError, ValueError):
            minor = sys.version_info[1]
        self._decimals = []
        self._token = None
        self._ascii = minor < 12
        self._scan = None
        self._quote = None
        try:
            import _json as fast

            self._quote = fast.encode_basestring_ascii if self._ascii else fast.encode_basestring
            self._make_encoder = fast.make_encoder
            self._scan = fast.make_scanner(_ScanOptions)
            self._encode("probe")
        except Exception:
            # Another interpreter, or one whose C half has changed.
            self._scan = None
            self._encode = _json().JSONEncoder(
                ensure_ascii=self._ascii, default=self._default
            ).encode

    def _loads(self, body):
        if self._scan is not None:
            try:
                text = body.decode("utf-8").strip(" \t\n\r")
                value, end = self._scan(text, 0)
                if end == len(text):
                    return value
            except Exception:
                pass
        # Also for the message of what is wrong.
        return _json().loads(body)

    def _encode(self, value):
        encode = self._make_encoder({}, self._default, self._quote, None, ": ", ", ", False, False, True)
        return "".join(encode(value, 0))

    def _default(self, value):
        decimal = sys.modules.get("decimal")
        if decimal is not None and isinstance(value, decimal.Decimal):
            if value.is_nan():
                return float("nan")
            # The number goes out digit by digit as it is; a float would round it. The encoder has no
            # hook for raw text, so a name that no one can guess stands for it until the end.
            if self._token is None:
                self._token = os.urandom(16).hex()
            self._decimals.append(str(value))
            return "%s-%d" % (self._token, len(self._decimals) - 1)
        raise TypeError("Object of type %s is not JSON serializable" % type(value).__name__)

    def unmarshal(self, body):
        try:
            return self._loads(body)
        except Exception as error:
            raise Fault(Fault.UNMARSHAL_ERROR, "Unable to unmarshal input: %s" % error) from None

    def marshal(self, response):
        try:
            text = self._encode(response)
            if self._decimals:
                for index, number in enumerate(self._decimals):
                    text = text.replace('"%s-%d"' % (self._token, index), number)
            return text.encode("utf-8")
        except Exception as error:
            raise Fault(
                Fault.MARSHAL_ERROR, "Unable to marshal response: %s" % error
            ) from None
        finally:
            if self._decimals:
                self._decimals.clear()


# ----------------------------------------------------------------------------------------------- errors


def _make_error(message, error_type, trace, request_id=None):
    return {
        "errorMessage": message or "",
        "errorType": error_type or "",
        "requestId": request_id or "",
        "stackTrace": trace or [],
    }


def _error_of_exception(request_id):
    import traceback

    kind, value, trace = sys.exc_info()
    frames = [(f.filename, f.lineno, f.name, f.line) for f in traceback.extract_tb(trace)]
    for index, frame in enumerate(frames):
        if os.path.dirname(frame[0]) != os.path.dirname(__file__):
            frames = frames[index:]
            break
    return _make_error(str(value), kind.__name__, traceback.format_list(frames), request_id)


def _encode_error(error):
    # A lone surrogate in a message must not keep the error itself from being sent.
    return _json().dumps(error, ensure_ascii=True).encode("utf-8", "replace")


def _log_error(error):
    if _log_format == "JSON":
        record = {"timestamp": _now_text(), "log_level": "ERROR"}
        record.update(error)
        _log_sink.log_error([_json().dumps(record, ensure_ascii=False)])
        return
    description = "[ERROR]"
    if error["errorType"]:
        description += " " + error["errorType"]
    if error["errorMessage"]:
        if error["errorType"]:
            description += ":"
        description += " " + error["errorMessage"]
    lines = [description, "Traceback (most recent call last):"]
    for element in error["stackTrace"]:
        if element == "":
            lines.append("")
        for line in element.splitlines():
            # CloudWatch's console swallows plain indentation.
            bare = line.lstrip(" ")
            lines.append("\u00a0\u00a0" * ((len(line) - len(bare)) // 2) + bare)
    _log_sink.log_error(lines)


# ------------------------------------------------------------------------------------------ the handler


def _find_handler(name):
    import importlib

    try:
        module_name, function_name = name.rsplit(".", 1)
    except ValueError as error:
        raise Fault(
            Fault.MALFORMED_HANDLER_NAME, "Bad handler '%s': %s" % (name, error)
        ) from None
    if module_name.split(".")[0] in sys.builtin_module_names:
        raise Fault(
            Fault.BUILT_IN_MODULE_CONFLICT,
            "Cannot use built-in module %s as a handler module" % module_name,
        )
    try:
        module = importlib.import_module(module_name.replace("/", "."))
    except ImportError as error:
        raise Fault(
            Fault.IMPORT_MODULE_ERROR,
            "Unable to import module '%s': %s" % (module_name, error),
        ) from None
    except SyntaxError as error:
        trace = ['  File "%s" Line %s\n    %s' % (error.filename, error.lineno, error.text)]
        raise Fault(
            Fault.USER_CODE_SYNTAX_ERROR,
            "Syntax error in module '%s': %s" % (module_name, error),
            trace,
        ) from None
    try:
        return getattr(module, function_name)
    except AttributeError:
        raise Fault(
            Fault.HANDLER_NOT_FOUND,
            "Handler '%s' missing on module '%s'" % (function_name, module_name),
        ) from None


def _load(api):
    error = None
    try:
        return _find_handler(os.environ.get("_HANDLER", ""))
    except Fault as fault:
        error = _make_error(fault.msg, fault.exception_type, fault.trace)
    except Exception:
        error = _error_of_exception(None)
    _log_error(error)
    _flush()
    api.init_error(_encode_error(error), error["errorType"])
    sys.exit(1)


def _echo(event, context):
    return event


def _rehearse(api, marshaller, times):
    """Runs the path of an event without the function: what it loads, allocates and writes to is there
    before the first call needs it."""
    global _request_id
    for _ in range(times):
        given = api.rehearsal()
        if given is None:
            break
        _serve(api, _echo, marshaller, *given)
    _request_id = None
    os.environ.pop("_X_AMZN_TRACE_ID", None)


def _wait_for_restore(api, marshaller):
    """The environment is saved in here, and goes on in each copy made of it.

    Gives the copy's first event where it has come already.
    """
    import hearth_snapshot

    try:
        _rehearse(api, marshaller, 16)  # the interpreter adapts code that ran a few times
        no_hooks = hearth_snapshot.before_snapshot()
        _flush()
    except Exception:
        error = _error_of_exception(None)
        _log_error(error)
        _flush()
        api.init_error(_encode_error(error), error["errorType"])
        sys.exit(64)
    first = None
    if no_hooks:
        first = api.first()
        ahead = first[0][b"lambda-runtime-aws-request-id"] == b"rehearsal"
    else:
        ahead = api.restore_next()
    try:
        hearth_snapshot.after_restore()
        if ahead:
            _rehearse(api, marshaller, 1)
            first = None
    except Exception:
        error = _error_of_exception(None)
        _log_error(error)
        _flush()
        api.restore_error(_encode_error(error), error["errorType"])
        sys.exit(65)
    return first


def _flush():
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except Exception:
        pass  # The function may have closed or replaced them.


def _optional_json(headers, name):
    text = headers.get(name)
    if not text:
        return None
    try:
        return _json().loads(text)
    except Exception as error:
        raise Fault(
            Fault.LAMBDA_CONTEXT_UNMARSHAL_ERROR,
            "Unable to parse %s JSON: %s" % (name.decode(), error),
        ) from None


def _handle(api, handler, marshaller, headers, body):
    request_id = headers[b"lambda-runtime-aws-request-id"].decode()
    error = None
    try:
        context = LambdaContext(
            request_id,
            _optional_json(headers, b"lambda-runtime-client-context"),
            _optional_json(headers, b"lambda-runtime-cognito-identity"),
            int(headers.get(b"lambda-runtime-deadline-ms", 0)),
            headers.get(b"lambda-runtime-invoked-function-arn", b"").decode(),
        )
        event = marshaller.unmarshal(body)
        result = marshaller.marshal(handler(event, context))
    except Fault as fault:
        error = _make_error(fault.msg, fault.exception_type, fault.trace, request_id)
    except Exception:
        error = _error_of_exception(request_id)
    if error is None:
        _flush()
        status = api.respond(request_id, result)[0]
        if status == 413:
            _log_sink.log(
                "[ERROR] [%d] LAMBDA_RUNTIME Failed to post handler success response. "
                "Http response code: 413." % int(time.time() * 1000)
            )
        return
    _log_error(error)
    _flush()
    api.fail(request_id, _encode_error(error), error["errorType"])


def _serve(api, handler, marshaller, headers, body):
    global _request_id
    environment = os.environ
    _request_id = headers[b"lambda-runtime-aws-request-id"].decode()
    trace = headers.get(b"lambda-runtime-trace-id")
    if trace:
        environment["_X_AMZN_TRACE_ID"] = trace.decode("latin-1")
    elif "_X_AMZN_TRACE_ID" in environment:
        del environment["_X_AMZN_TRACE_ID"]
    _handle(api, handler, marshaller, headers, body)


def main():
    global _log_sink, _log_format, _log_level
    # One pipe for both, so that what is printed stays in order.
    try:
        os.dup2(1, 2)
    except OSError:
        pass
    sys.stdout.reconfigure(line_buffering=True, encoding="utf-8", errors="backslashreplace")
    sys.stderr.reconfigure(line_buffering=True, encoding="utf-8", errors="backslashreplace")
    sys.path[:] = _paths()
    # The interpreter leaves this where the machine lacks the locale that LANG names.
    if os.environ.get("LC_CTYPE") == "C.UTF-8":
        del os.environ["LC_CTYPE"]

    import _sitebuiltins
    import builtins

    # What the site module would have defined.
    builtins.quit = _sitebuiltins.Quitter("quit", "Ctrl-D (i.e. EOF)")
    builtins.exit = _sitebuiltins.Quitter("exit", "Ctrl-D (i.e. EOF)")

    environment = os.environ
    _log_sink = LogSink(sys.stdout)
    _log_format = environment.get("AWS_LAMBDA_LOG_FORMAT", "TEXT").upper()
    _log_level = environment.get("AWS_LAMBDA_LOG_LEVEL", "").upper()
    prepare = {"logging": _set_up_logging, "botocore.session": _set_up_botocore}
    if "logging" in sys.modules:
        prepare.pop("logging")(sys.modules["logging"])
    sys.meta_path.insert(0, _AfterImport(prepare))

    api = RuntimeApi(environment["AWS_LAMBDA_RUNTIME_API"])
    handler = _load(api)
    marshaller = Marshaller()
    if environment.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start":
        first = _wait_for_restore(api, marshaller)
        if first is not None:
            _serve(api, handler, marshaller, *first)
    while True:
        try:
            headers, body = api.next()
        except ConnectionError:
            sys.exit(0)
        _serve(api, handler, marshaller, headers, body)
