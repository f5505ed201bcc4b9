defmodule Lambda.Failure do
  @moduledoc "What a handler raises to choose the error type that its caller sees."
  defexception [:type, :message]
end

defmodule Lambda.Runtime do
  @moduledoc """
  A Lambda runtime for Elixir: calls the function that `_HANDLER` names ("Genome.handler") with the
  event's text and a context, and answers with what it returns, JSON as text.
  """

  def main do
    {:ok, _} = Application.ensure_all_started(:inets)
    api = "http://#{System.fetch_env!("AWS_LAMBDA_RUNTIME_API")}/2018-06-01/runtime"

    case handler(System.fetch_env!("_HANDLER")) do
      {:ok, handler} ->
        serve(api, handler)

      {:error, message} ->
        fail("#{api}/init/error", "Runtime.NoSuchHandler", message, [])
        System.halt(1)
    end
  end

  defp handler(name) do
    with [module, function] <- String.split(name, "."),
         module = Module.concat([Macro.camelize(module)]),
         function = String.to_atom(function),
         {:module, ^module} <- Code.ensure_loaded(module),
         true <- function_exported?(module, function, 2) do
      {:ok, &apply(module, function, [&1, &2])}
    else
      _ -> {:error, "there is no handler #{name}"}
    end
  end

  defp serve(api, handler) do
    {headers, event} = request(:get, {~c"#{api}/invocation/next", []})
    id = headers["lambda-runtime-aws-request-id"]
    System.put_env("_X_AMZN_TRACE_ID", Map.get(headers, "lambda-runtime-trace-id", ""))
    deadline_ms = String.to_integer(headers["lambda-runtime-deadline-ms"])
    context = %{request_id: id, deadline_ms: deadline_ms}

    try do
      handler.(event, context)
    rescue
      error in Lambda.Failure ->
        fail("#{api}/invocation/#{id}/error", error.type, error.message, __STACKTRACE__)

      error ->
        type = inspect(error.__struct__)
        fail("#{api}/invocation/#{id}/error", type, Exception.message(error), __STACKTRACE__)
    else
      answer -> post("#{api}/invocation/#{id}/response", [], answer)
    end

    serve(api, handler)
  end

  defp fail(url, type, message, stack) do
    lines = Enum.map_join(stack, ",", &quoted(Exception.format_stacktrace_entry(&1)))

    body =
      ~s({"errorType":#{quoted(type)},"errorMessage":#{quoted(message)},"stackTrace":[#{lines}]})

    post(url, [{~c"Lambda-Runtime-Function-Error-Type", String.to_charlist(type)}], body)
  end

  defp quoted(text) do
    escaped =
      for <<byte <- text>>, into: "" do
        case byte do
          ?" -> "\\\""
          ?\\ -> "\\\\"
          byte when byte < 32 -> "\\u00" <> Base.encode16(<<byte>>)
          byte -> <<byte>>
        end
      end

    ~s("#{escaped}")
  end

  defp post(url, headers, body) do
    request(:post, {String.to_charlist(url), headers, ~c"application/json", body})
  end

  # The next event may be hours away.
  defp request(method, request) do
    {:ok, {_status, headers, body}} =
      :httpc.request(method, request, [timeout: :infinity], body_format: :binary)

    {Map.new(headers, fn {name, value} -> {to_string(name), to_string(value)} end), body}
  end
end
