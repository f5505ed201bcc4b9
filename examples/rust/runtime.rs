//! A Lambda runtime for Rust on the standard library alone: the Runtime API over one connection.

use std::env;
use std::error::Error;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::panic::{self, AssertUnwindSafe};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Why a call failed, as its caller sees it.
pub struct Failure {
    pub kind: String,
    pub message: String,
    pub stack: Vec<String>,
}

impl Failure {
    /// A failure with the place of its making as its stack: Rust's errors carry none.
    #[track_caller]
    pub fn new(kind: &str, message: String) -> Self {
        let place = panic::Location::caller();
        Failure { kind: kind.to_string(), message, stack: vec![place.to_string()] }
    }
}

pub struct Context {
    pub request_id: String,
    deadline: SystemTime,
}

impl Context {
    pub fn remaining(&self) -> Duration {
        self.deadline.duration_since(SystemTime::now()).unwrap_or_default()
    }
}

struct Answer {
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map_or("", |(_, value)| value)
    }
}

struct Api {
    address: String,
    stream: BufReader<TcpStream>,
}

impl Api {
    fn connect(address: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(Api { address: address.to_string(), stream: BufReader::new(stream) })
    }

    fn exchange(&mut self, method: &str, path: &str, kind: &str, body: &[u8]) -> io::Result<Answer> {
        let mut request = format!(
            "{method} /2018-06-01/runtime/{path} HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\n",
            self.address,
            body.len()
        );
        if !kind.is_empty() {
            request += &format!("Lambda-Runtime-Function-Error-Type: {kind}\r\n");
        }
        request += "Content-Type: application/json\r\n\r\n";
        self.stream.get_mut().write_all(&[request.as_bytes(), body].concat())?;

        let mut answer = Answer { headers: Vec::new(), body: Vec::new() };
        self.line()?;
        loop {
            let line = self.line()?;
            match line.split_once(':') {
                Some((name, value)) => answer.headers.push((name.into(), value.trim().into())),
                None => break,
            }
        }
        let size = answer.header("Content-Length").parse().unwrap_or(0);
        answer.body.resize(size, 0);
        self.stream.read_exact(&mut answer.body)?;
        Ok(answer)
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end().to_string())
    }

    fn fail(&mut self, path: &str, failure: &Failure) -> io::Result<Answer> {
        let stack: Vec<String> = failure.stack.iter().map(|line| json_string(line)).collect();
        let body = format!(
            r#"{{"errorType":{},"errorMessage":{},"stackTrace":[{}]}}"#,
            json_string(&failure.kind),
            json_string(&failure.message),
            stack.join(",")
        );
        self.exchange("POST", path, &failure.kind, body.as_bytes())
    }
}

pub fn json_string(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c < ' ' => out += &format!("\\u{:04x}", c as u32),
            c => out.push(c),
        }
    }
    out + "\""
}

/// Serves events until the environment ends. `choose` finds the handler that the function's
/// configuration names.
pub fn run<H>(choose: impl FnOnce(&str) -> Option<H>) -> Result<(), Box<dyn Error>>
where
    H: Fn(&str, &Context) -> Result<String, Failure>,
{
    let mut api = Api::connect(&env::var("AWS_LAMBDA_RUNTIME_API")?)?;
    let name = env::var("_HANDLER")?;
    let handler = match choose(&name) {
        Some(handler) => handler,
        None => {
            let failure = Failure::new("Runtime.NoSuchHandler", format!("no handler {name}"));
            api.fail("init/error", &failure)?;
            return Err(failure.message.into());
        }
    };
    loop {
        let event = api.exchange("GET", "invocation/next", "", b"")?;
        let deadline_ms = event.header("Lambda-Runtime-Deadline-Ms").parse()?;
        let context = Context {
            request_id: event.header("Lambda-Runtime-Aws-Request-Id").to_string(),
            deadline: UNIX_EPOCH + Duration::from_millis(deadline_ms),
        };
        env::set_var("_X_AMZN_TRACE_ID", event.header("Lambda-Runtime-Trace-Id"));
        let text = String::from_utf8_lossy(&event.body);
        let called = panic::catch_unwind(AssertUnwindSafe(|| handler(&text, &context)));
        let path = format!("invocation/{}/", context.request_id);
        match called {
            Ok(Ok(answer)) => api.exchange("POST", &(path + "response"), "", answer.as_bytes())?,
            Ok(Err(failure)) => api.fail(&(path + "error"), &failure)?,
            Err(_) => {
                let message = "the handler panicked; its log says where".to_string();
                api.fail(&(path + "error"), &Failure::new("Panic", message))?
            }
        };
    }
}
