%% A Lambda runtime for Erlang: one connection to the Runtime API, one process for each event, so that
%% a handler that crashes takes nothing with it.
-module(runtime).
-export([main/0]).

-define(BASE, "/2018-06-01/runtime/").

main() ->
    Address = os:getenv("AWS_LAMBDA_RUNTIME_API"),
    [Host, Port] = string:split(Address, ":"),
    {ok, Socket} = gen_tcp:connect(
        Host, list_to_integer(Port), [binary, {active, false}, {packet, http_bin}, {nodelay, true}]
    ),
    case handler(os:getenv("_HANDLER")) of
        {ok, Module, Function} ->
            loop(Socket, Module, Function);
        {error, Message} ->
            fail(Socket, "init/error", <<"Runtime.NoSuchHandler">>, Message, []),
            halt(1)
    end.

%% "genome.handler" is genome:handler/2.
handler(Name) ->
    try
        [M, F] = string:split(Name, "."),
        Module = list_to_atom(M),
        Function = list_to_atom(F),
        {module, Module} = code:ensure_loaded(Module),
        true = erlang:function_exported(Module, Function, 2),
        {ok, Module, Function}
    catch
        error:_ -> {error, iolist_to_binary(["there is no handler ", Name])}
    end.

loop(Socket, Module, Function) ->
    {Headers, Event} = exchange(Socket, "GET", "invocation/next", [], <<>>),
    Id = maps:get(<<"lambda-runtime-aws-request-id">>, Headers),
    os:putenv("_X_AMZN_TRACE_ID", binary_to_list(maps:get(<<"lambda-runtime-trace-id">>, Headers, <<>>))),
    Context = #{
        request_id => Id,
        deadline_ms => binary_to_integer(maps:get(<<"lambda-runtime-deadline-ms">>, Headers))
    },
    {Pid, Monitor} = spawn_monitor(fun() -> exit(call(Module, Function, Event, Context)) end),
    receive
        {'DOWN', Monitor, process, Pid, {answer, Answer}} ->
            exchange(Socket, "POST", ["invocation/", Id, "/response"], [], Answer);
        {'DOWN', Monitor, process, Pid, {failed, Type, Message, Stack}} ->
            fail(Socket, ["invocation/", Id, "/error"], Type, Message, Stack);
        {'DOWN', Monitor, process, Pid, Reason} ->
            fail(Socket, ["invocation/", Id, "/error"], <<"exit">>, text(Reason), [])
    end,
    loop(Socket, Module, Function).

call(Module, Function, Event, Context) ->
    try
        {answer, iolist_to_binary(Module:Function(Event, Context))}
    catch
        throw:{Type, Message}:Stack when is_atom(Type) ->
            {failed, atom_to_binary(Type), iolist_to_binary(Message), frames(Stack)};
        Class:Reason:Stack ->
            {failed, atom_to_binary(Class), text(Reason), frames(Stack)}
    end.

frames(Stack) ->
    [
        iolist_to_binary(
            io_lib:format("~s:~s/~b line ~b", [M, F, arity(A), proplists:get_value(line, Where, 0)])
        )
     || {M, F, A, Where} <- Stack
    ].

arity(Arguments) when is_list(Arguments) -> length(Arguments);
arity(Arity) -> Arity.

text(Term) ->
    iolist_to_binary(io_lib:format("~0p", [Term])).

fail(Socket, Path, Type, Message, Stack) ->
    Lines = lists:join($,, [quote(Line) || Line <- Stack]),
    Body = [
        "{\"errorType\":", quote(Type), ",\"errorMessage\":", quote(Message),
        ",\"stackTrace\":[", Lines, "]}"
    ],
    exchange(Socket, "POST", Path, ["Lambda-Runtime-Function-Error-Type: ", Type, "\r\n"], Body).

quote(Text) ->
    [$", [escape(Byte) || <<Byte>> <= Text], $"].

escape(Byte) when Byte =:= $"; Byte =:= $\\ -> [$\\, Byte];
escape(Byte) when Byte < 32 -> io_lib:format("\\u~4.16.0b", [Byte]);
escape(Byte) -> Byte.

exchange(Socket, Method, Path, Headers, Body) ->
    ok = gen_tcp:send(Socket, [
        Method, " ", ?BASE, Path, " HTTP/1.1\r\nHost: runtime\r\n",
        "Content-Type: application/json\r\n", Headers,
        "Content-Length: ", integer_to_list(iolist_size(Body)), "\r\n\r\n", Body
    ]),
    {ok, {http_response, _, _, _}} = gen_tcp:recv(Socket, 0),
    read(Socket, #{}).

read(Socket, Headers) ->
    case gen_tcp:recv(Socket, 0) of
        {ok, {http_header, _, Name, _, Value}} ->
            read(Socket, Headers#{lower(Name) => Value});
        {ok, http_eoh} ->
            Size = binary_to_integer(maps:get(<<"content-length">>, Headers, <<"0">>)),
            {Headers, body(Socket, Size)}
    end.

body(_, 0) ->
    <<>>;
body(Socket, Size) ->
    ok = inet:setopts(Socket, [{packet, raw}]),
    {ok, Body} = gen_tcp:recv(Socket, Size),
    ok = inet:setopts(Socket, [{packet, http_bin}]),
    Body.

lower(Name) when is_atom(Name) -> lower(atom_to_binary(Name));
lower(Name) -> string:lowercase(Name).
