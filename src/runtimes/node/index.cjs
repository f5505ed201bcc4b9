// The Node.js runtime: fetches invocations from the Runtime API and gives them to the function's handler.
//
// It behaves as AWS's own (aws-lambda-nodejs-runtime-interface-client) as far as a handler or a caller
// can see. It speaks HTTP over one raw socket: Node's http agent costs 0.9 ms a call, this 0.08.
'use strict';

const fs = require('fs');
const net = require('net');
const path = require('path');
const util = require('util');

// "AWS_Lambda_nodejs20.x" -> 20; what the function asked for, not what interprets it.
const RUNTIME_MAJOR = Number(
  (/nodejs(\d+)/.exec(process.env.AWS_EXECUTION_ENV || '') || [])[1] || process.versions.node.split('.')[0]);

// ------------------------------------------------------------------------------------------- errors

class RuntimeError extends Error {
  constructor(name, reason) {
    super(typeof reason === 'string' ? reason : String(reason));
    this.name = name;
    // The stack was written with the class's name.
    Error.captureStackTrace(this, RuntimeError);
    this.stack = `${name}: ${this.message}` + this.stack.slice(this.stack.indexOf('\n    at '));
    Object.defineProperty(this, 'name', { value: name, enumerable: false, writable: true });
  }
}

class UnhandledPromiseRejection extends RuntimeError {
  constructor(reason, promise) {
    super('Runtime.UnhandledPromiseRejection', reason === undefined ? 'undefined' : util.types.isNativeError(reason) ? reason.toString() : typeof reason === 'object' ? String(reason) : `${String(reason)}`);
    this.reason = reason;
    this.promise = promise;
  }
}

function isError(value) {
  return util.types.isNativeError(value) ||
    (value && value.name && value.message && value.stack && typeof value.stack === 'string');
}

function visible(text) {
  return typeof text === 'string' ? text.replaceAll('\x7F', '%7F') : text;
}

// The shape that a caller of the function gets.
function toResponse(error) {
  try {
    if (isError(error)) {
      return {
        errorType: visible(error.name),
        errorMessage: visible(error.message),
        trace: (visible(error.stack) || '').split('\n'),
      };
    }
    return { errorType: typeof error, errorMessage: String(error), trace: [] };
  } catch {
    return {
      errorType: 'handled',
      errorMessage: 'callback called with Error argument, but there was a problem while retrieving one or more of its message, name, and stack',
      trace: [],
    };
  }
}

function withEnumerableProperties(error) {
  if (!(error instanceof Error)) {
    return error;
  }
  const shown = Object.assign(
    { errorType: error.name, errorMessage: error.message, code: error.code }, error);
  if (typeof error.stack === 'string') {
    shown.stack = error.stack.split('\n');
  }
  return shown;
}

function toFormatted(error) {
  try {
    return '\t' + JSON.stringify(error, (_key, value) => withEnumerableProperties(value));
  } catch {
    return '\t' + JSON.stringify(toResponse(error));
  }
}

// ------------------------------------------------------------------------------------------ the log

const LEVELS = { TRACE: 1, DEBUG: 2, INFO: 3, WARN: 4, ERROR: 5, FATAL: 6 };
const JSON_FORMAT = (process.env.AWS_LAMBDA_LOG_FORMAT || '').toUpperCase() === 'JSON';
const THRESHOLD = LEVELS[(process.env.AWS_LAMBDA_LOG_LEVEL || '').toUpperCase()] || LEVELS.TRACE;
let currentRequestId;

function writeAll(buffer) {
  let offset = 0;
  while (offset < buffer.length) {
    try {
      offset += fs.writeSync(1, buffer, offset);
    } catch (error) {
      if (error.code !== 'EAGAIN') {
        return;
      }
      // Somebody made the pipe non-blocking and it is full; its reader is another process.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    }
  }
}

// One event of the log. With newlines inside it goes out as a frame: 0xA55A0003, length and time in
// microseconds (big-endian), text.
function writeEvent(text) {
  if (!text.includes('\n')) {
    writeAll(Buffer.from(text + '\n'));
    return;
  }
  const body = Buffer.from(text);
  const head = Buffer.allocUnsafe(16);
  head.writeUInt32BE(0xa55a0003, 0);
  head.writeUInt32BE(body.length, 4);
  head.writeBigUInt64BE(BigInt(Date.now()) * 1000n, 8);
  writeAll(Buffer.concat([head, body]));
}

function errorReplacer(_key, value) {
  if (value instanceof Error) {
    return Object.assign({
      errorType: value?.constructor?.name ?? 'UnknownError',
      errorMessage: value.message,
      stackTrace: typeof value?.stack === 'string' ? value.stack.split('\n') : value.stack,
    }, value);
  }
  return value;
}

function formatJson(level, params) {
  const record = { timestamp: new Date().toISOString(), level, requestId: currentRequestId };
  if (params.length === 1) {
    record.message = params[0];
    try {
      return JSON.stringify(record, errorReplacer);
    } catch {
      record.message = util.format(record.message);
      return JSON.stringify(record);
    }
  }
  record.message = util.format(...params);
  for (const param of params) {
    if (param instanceof Error) {
      record.errorType = param?.constructor?.name ?? 'UnknownError';
      record.errorMessage = param.message;
      record.stackTrace = typeof param?.stack === 'string' ? param.stack.split('\n') : [];
      break;
    }
  }
  return JSON.stringify(record);
}

function patchConsole() {
  const methods = { trace: 'TRACE', debug: 'DEBUG', info: 'INFO', log: 'INFO', warn: 'WARN', error: 'ERROR', fatal: 'FATAL' };
  for (const [method, level] of Object.entries(methods)) {
    if (LEVELS[level] < THRESHOLD) {
      console[method] = () => {};
    } else if (JSON_FORMAT) {
      console[method] = (...params) => writeEvent(formatJson(level, params));
    } else {
      console[method] = (...params) => writeEvent(
        `${new Date().toISOString()}\t${currentRequestId}\t${level}\t${util.format(...params)}`);
    }
  }
}

function logError(message, error) {
  if (JSON_FORMAT) {
    console.error(message, isError(error) ? error : new Error(String(error)));
  } else {
    console.error(message, toFormatted(error));
  }
}

// ------------------------------------------------------------------------------- Runtime API client

class RuntimeApi {
  constructor(address) {
    const colon = address.lastIndexOf(':');
    this.address = { host: address.slice(0, colon), port: Number(address.slice(colon + 1)) };
    this.host = address;
    this.nextRequest = this.makeNextRequest('');
    this.socket = null;
    this.chunks = [];
    this.size = 0;
    this.head = null;
    this.bodyStart = 0;
    this.need = 0;
    this.waiting = null;
  }

  makeNextRequest(query) {
    return Buffer.from(
      `GET /2018-06-01/runtime/invocation/next${query} HTTP/1.1\r\nHost: ${this.host}\r\n` +
      `User-Agent: hearth-node/${process.version}\r\n\r\n`);
  }

  next(done) {
    this.call(this.nextRequest, null, done, true);
  }

  respond(id, body, done) {
    this.post(`invocation/${id}/response`, body, '', done);
  }

  fail(id, error, done) {
    const response = toResponse(error);
    this.post(`invocation/${id}/error`, JSON.stringify(response), response.errorType, done);
  }

  initError(error, done) {
    const response = toResponse(error);
    this.post('init/error', JSON.stringify(response), response.errorType, done);
  }

  // Resolves to the answer.
  restoreNext() {
    return this.getRestore('next');
  }

  // What next() gives, made up.
  rehearsal() {
    return this.getRestore('rehearsal');
  }

  getRestore(what) {
    return new Promise((resolve) => this.call(
      this.restoreRequest(what), null, (status, headers) => resolve({ status, headers }), true));
  }

  restoreRequest(what) {
    return Buffer.from(`GET /2018-06-01/runtime/restore/${what} HTTP/1.1\r\nHost: ${this.host}\r\n\r\n`);
  }

  restoreError(error, done) {
    const response = toResponse(error);
    this.post('restore/error', JSON.stringify(response), response.errorType, done);
  }

  post(where, text, errorType, done) {
    const body = Buffer.from(text);
    let head = `POST /2018-06-01/runtime/${where} HTTP/1.1\r\nHost: ${this.host}\r\nContent-Type: application/json\r\n`;
    if (errorType) {
      head += `Lambda-Runtime-Function-Error-Type: ${String(errorType).replace(/[^\x20-\x7e]/g, ' ')}\r\n`;
    }
    head += `Content-Length: ${body.length}\r\n\r\n`;
    this.call(Buffer.from(head), body, done, true);
  }

  call(head, body, done, mayRetry) {
    if (this.socket === null) {
      this.connect();
    }
    this.waiting = { head, body, done, mayRetry };
    // While a call is on its way the process must not end.
    this.socket.ref();
    if (body === null) {
      this.socket.write(head);
    } else if (body.length < 65536) {
      this.socket.write(Buffer.concat([head, body]));
    } else {
      this.socket.cork();
      this.socket.write(head);
      this.socket.write(body);
      this.socket.uncork();
    }
  }

  connect() {
    const socket = net.connect(this.address);
    socket.setNoDelay(true);
    this.socket = socket;
    this.chunks = [];
    this.size = 0;
    this.head = null;
    socket.on('data', (chunk) => this.onData(chunk));
    socket.on('error', () => {});
    socket.on('close', () => {
      if (this.socket !== socket) {
        return;
      }
      this.socket = null;
      const { waiting } = this;
      this.waiting = null;
      if (waiting === null) {
        return;
      }
      if (waiting.mayRetry) {
        this.call(waiting.head, waiting.body, waiting.done, false);
      } else {
        process.exit(0);
      }
    });
  }

  onData(chunk) {
    this.chunks.push(chunk);
    this.size += chunk.length;
    if (this.head === null) {
      const all = this.chunks.length === 1 ? chunk : Buffer.concat(this.chunks);
      this.chunks = [all];
      const end = all.indexOf('\r\n\r\n');
      if (end < 0) {
        return;
      }
      const lines = all.latin1Slice(0, end).split('\r\n');
      const headers = {};
      for (let i = 1; i < lines.length; ++i) {
        const colon = lines[i].indexOf(':');
        headers[lines[i].slice(0, colon).toLowerCase()] = lines[i].slice(colon + 1).trim();
      }
      this.head = { status: Number(lines[0].slice(9, 12)), headers };
      this.bodyStart = end + 4;
      this.need = end + 4 + Number(headers['content-length'] || 0);
    }
    if (this.size < this.need) {
      return;
    }
    const all = this.chunks.length === 1 ? this.chunks[0] : Buffer.concat(this.chunks);
    const body = all.subarray(this.bodyStart, this.need);
    const rest = all.subarray(this.need);
    const { head, waiting } = this;
    this.chunks = rest.length > 0 ? [rest] : [];
    this.size = rest.length;
    this.head = null;
    this.waiting = null;
    if (waiting !== null) {
      // From here on the function decides how long the process lives.
      this.socket.unref();
      waiting.done(head.status, head.headers, body);
    }
  }
}

// -------------------------------------------------------------------------------------- the handler

const STREAMING = Symbol.for('aws.lambda.runtime.handler.streaming');
const HIGH_WATER_MARK = Symbol.for('aws.lambda.runtime.handler.streaming.highWaterMark');

function exists(file) {
  try {
    return fs.statSync(file).isFile();
  } catch {
    return false;
  }
}

// Whether the nearest package.json up to the code's root makes .js files ES modules.
function isModulePackage(file, root) {
  for (let directory = path.dirname(file); ; directory = path.dirname(directory)) {
    const description = path.join(directory, 'package.json');
    if (exists(description)) {
      try {
        return JSON.parse(fs.readFileSync(description, 'utf8')).type === 'module';
      } catch {
        return false;
      }
    }
    if (directory === root || directory === path.dirname(directory)) {
      return false;
    }
  }
}

function importFile(file) {
  return import(require('url').pathToFileURL(file).href);
}

async function loadModule(root, moduleRoot, name) {
  const base = path.resolve(root, moduleRoot, name);
  if (exists(base)) {
    return require(base);
  }
  if (exists(base + '.js')) {
    return isModulePackage(base, root) ? importFile(base + '.js') : require(base + '.js');
  }
  if (exists(base + '.mjs')) {
    return importFile(base + '.mjs');
  }
  if (exists(base + '.cjs')) {
    return require(base + '.cjs');
  }
  return require(require.resolve(name, { paths: [root, path.resolve(root, moduleRoot)] }));
}

async function loadHandler(root, full) {
  if (full.includes('..')) {
    throw new RuntimeError(
      'Runtime.MalformedHandlerName',
      `'${full}' is not a valid handler name. Use absolute paths when specifying root directories in handler names.`);
  }
  const handlerName = path.basename(full);
  const moduleRoot = full.substring(0, full.indexOf(handlerName));
  const match = /^([^.]*)\.(.*)$/.exec(handlerName);
  if (!match) {
    throw new RuntimeError('Runtime.MalformedHandlerName', 'Bad handler');
  }
  let module;
  try {
    module = await loadModule(root, moduleRoot, match[1]);
  } catch (error) {
    if (error instanceof SyntaxError) {
      throw new RuntimeError('Runtime.UserCodeSyntaxError', error);
    }
    if (error && error.code === 'MODULE_NOT_FOUND') {
      throw new RuntimeError('Runtime.ImportModuleError', error);
    }
    throw error;
  }
  const find = (from) => match[2].split('.').reduce((value, key) => value && value[key], from);
  const handler = find(module) ?? find(module && module.default);
  if (!handler) {
    throw new RuntimeError('Runtime.HandlerNotFound', `${full} is undefined or not exported`);
  }
  if (typeof handler !== 'function') {
    throw new RuntimeError('Runtime.HandlerNotFound', `${full} is not a function`);
  }
  if (RUNTIME_MAJOR >= 24 && handler.length >= 3 && !handler[STREAMING]) {
    throw new RuntimeError(
      'Runtime.CallbackHandlerDeprecated',
      'AWS Lambda has removed support for callback-based function handlers starting with Node.js 24. ' +
      'You need to modify this function to use a supported handler signature to use Node.js 24 or later. ' +
      'For more information see https://docs.aws.amazon.com/lambda/latest/dg/nodejs-handler.html.');
  }
  return handler;
}

// What handlers find without importing it.
function installStreaming() {
  globalThis.awslambda = {
    streamifyResponse(handler, options) {
      handler[STREAMING] = 'response';
      if (typeof options?.highWaterMark === 'number') {
        handler[HIGH_WATER_MARK] = Math.trunc(options.highWaterMark);
      }
      return handler;
    },
    // A JSON prelude with status and headers, and eight zero bytes, before the first byte of the body.
    HttpResponseStream: class HttpResponseStream {
      static from(stream, prelude) {
        stream.setContentType('application/vnd.awslambda.http-integration-response');
        const text = JSON.stringify(prelude);
        stream._onBeforeFirstWrite = (write) => {
          write(text);
          write(new Uint8Array(8));
        };
        return stream;
      }
    },
  };
}

// -------------------------------------------------------------------------------------- invocations

const NODE_JS_EXIT =
  'The Lambda runtime client detected an unexpected Node.js exit code. This is most commonly caused by a ' +
  'Promise that was never settled. For more information, see https://nodejs.org/docs/latest/api/process.html#exit-codes';

class Runtime {
  constructor(api, handler) {
    this.api = api;
    this.handler = handler;
    this.isAsync = handler.constructor.name === 'AsyncFunction';
    // Runs when the event loop has nothing left to do.
    this.whenEmpty = null;
    // Runs before the first event.
    this.wake = null;
    process.on('beforeExit', () => {
      const run = this.whenEmpty;
      this.whenEmpty = null;
      if (run) {
        run();
      }
    });
  }

  schedule() {
    // A new turn, so that a chain of quick calls does not grow the stack.
    setImmediate(() => this.api.next((status, headers, body) => {
      if (status !== 200) {
        this.refused();
        return;
      }
      this.handle(headers, body);
    }));
  }

  refused() {
    process.exit(1);
  }

  handle(headers, body) {
    const id = headers['lambda-runtime-aws-request-id'];
    if (this.wake !== null) {
      this.wake();
      this.wake = null;
      if (id === 'rehearsal') {
        // No call waits for this copy yet; what one would need is touched meanwhile.
        rehearse(this.api, this.handler, 2).then(() => this.schedule());
        return;
      }
    }
    currentRequestId = id;
    if (headers['lambda-runtime-trace-id']) {
      process.env._X_AMZN_TRACE_ID = headers['lambda-runtime-trace-id'];
    } else {
      delete process.env._X_AMZN_TRACE_ID;
    }
    const invocation = this.begin(id);
    errorCallbacks.uncaughtException = (error) => this.api.fail(id, error, () => process.exit(129));
    errorCallbacks.unhandledRejection = (error) => this.api.fail(id, error, () => process.exit(128));
    this.whenEmpty = () => {
      invocation.markCompleted();
      if (RUNTIME_MAJOR >= 20 && this.isAsync) {
        const error = new RuntimeError('Runtime.NodeJsExit', NODE_JS_EXIT);
        logError('Invoke Error', error);
        this.api.fail(id, error, () => this.schedule());
      } else {
        this.api.respond(id, 'null', () => this.schedule());
      }
    };
    try {
      const context = this.makeContext(headers, invocation.context);
      const event = JSON.parse(body.toString('utf8'));
      if (this.handler[STREAMING]) {
        this.handleStreaming(id, event, context, invocation);
        return;
      }
      const result = RUNTIME_MAJOR >= 24
        ? this.handler(event, context)
        : this.handler(event, context, invocation.callback);
      if (result && typeof result.then === 'function') {
        result.then(invocation.succeed, invocation.fail).catch(invocation.fail);
      } else if (RUNTIME_MAJOR >= 24) {
        invocation.succeed(result);
      }
    } catch (error) {
      invocation.callback(error);
    }
  }

  async handleStreaming(id, event, context, invocation) {
    const { Channel, ResponseStream } = require('./streaming.cjs');
    this.channel ??= new Channel(this.api.address);
    const stream = new ResponseStream(this.channel, this.api.host, id, this.handler[HIGH_WATER_MARK]);
    // A stream that nobody ends keeps the process until the function's timeout.
    this.api.socket?.ref();
    try {
      const result = this.handler(event, stream, context);
      if (!result || typeof result.then !== 'function') {
        throw new Error('Streaming does not support non-async handlers.');
      }
      if ((await result) !== undefined) {
        console.warn('Streaming handlers ignore return values.');
      }
      await stream.answered;
      if (!stream.writableFinished) {
        throw new Error('Response stream is not finished.');
      }
    } catch (problem) {
      const error = problem === undefined || problem === null ? 'handled' : problem;
      if (stream.destroyed) {
        // What was begun is broken off already; what was not is an ordinary error.
        await stream.settled();
        if (!stream.begun) {
          invocation.fail(error);
          return;
        }
        logError('Invoke Error', error);
      } else {
        logError('Invoke Error', error);
        await stream.fail(toResponse(error));
        await stream.answered;
      }
    }
    this.whenEmpty = null;
    this.schedule();
  }

  // The callback of one invocation and what its context can do.
  begin(id) {
    let reported = false;
    let waitForEmpty = true;
    const post = (send) => {
      if (reported) {
        console.error('Invocation has already been reported as done. Cannot call complete more than once per invocation.');
        return;
      }
      reported = true;
      send();
    };
    const answered = (status) => {
      if (status === 413) {
        writeEvent(`[ERROR] [${Date.now()}] LAMBDA_RUNTIME Failed to post handler success response. Http response code: 413.`);
      }
      this.schedule();
    };
    const complete = (result) => {
      let text;
      try {
        text = JSON.stringify(result === undefined ? null : result);
      } catch {
        text = undefined;
      }
      if (text === undefined) {
        if (typeof result === 'function' || typeof result === 'symbol') {
          text = 'null';
        } else {
          throw new Error('Unable to stringify response body');
        }
      }
      post(() => this.api.respond(id, text, answered));
    };
    const postError = (error) => {
      logError('Invoke Error', error);
      post(() => this.api.fail(id, error, answered));
    };
    const done = (error, result) => {
      this.whenEmpty = null;
      if (error !== undefined && error !== null) {
        postError(error);
      } else {
        try {
          complete(result);
        } catch (problem) {
          postError(problem);
        }
      }
    };
    const callback = (error, result) => {
      this.whenEmpty = null;
      if (error !== undefined && error !== null) {
        postError(error);
      } else if (!waitForEmpty) {
        done(null, result);
      } else {
        this.whenEmpty = () => setImmediate(() => done(null, result));
      }
    };
    const succeed = (result) => done(null, result);
    const fail = (error) => done(error === undefined || error === null ? 'handled' : error, null);
    const context = {
      get callbackWaitsForEmptyEventLoop() {
        return waitForEmpty;
      },
      set callbackWaitsForEmptyEventLoop(value) {
        waitForEmpty = value;
      },
      succeed,
      fail,
      done,
    };
    return {
      callback,
      succeed,
      fail,
      markCompleted: () => {
        reported = true;
      },
      context: RUNTIME_MAJOR >= 24 ? {} : context,
    };
  }

  makeContext(headers, context) {
    const parse = (name) => {
      const text = headers[name];
      if (!text) {
        return undefined;
      }
      try {
        // Header bytes are UTF-8 read as Latin-1.
        return JSON.parse(Buffer.from(text, 'latin1').toString('utf8'));
      } catch (error) {
        throw new Error(`Cannot parse ${name} as json: ${error.toString()}`);
      }
    };
    const deadline = Number(headers['lambda-runtime-deadline-ms']);
    return Object.assign(context, {
      functionVersion: process.env.AWS_LAMBDA_FUNCTION_VERSION,
      functionName: process.env.AWS_LAMBDA_FUNCTION_NAME,
      memoryLimitInMB: process.env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
      logGroupName: process.env.AWS_LAMBDA_LOG_GROUP_NAME,
      logStreamName: process.env.AWS_LAMBDA_LOG_STREAM_NAME,
      clientContext: parse('lambda-runtime-client-context'),
      identity: parse('lambda-runtime-cognito-identity'),
      invokedFunctionArn: headers['lambda-runtime-invoked-function-arn'],
      awsRequestId: headers['lambda-runtime-aws-request-id'],
      getRemainingTimeInMillis: () => Math.max(deadline - Date.now(), 0),
    });
  }
}

// --------------------------------------------------------------------------------------------- start

const errorCallbacks = {};

// Runs the path of an event without the function: what it compiles, allocates and writes to is there before
// the first call needs it.
function rehearse(api, handler, times) {
  return new Promise((resolve) => {
    const echo = handler.constructor.name === 'AsyncFunction'
      ? async (event) => event : (event) => Promise.resolve(event);
    const rehearsal = new Runtime(api, echo);
    const callbacks = { ...errorCallbacks };
    const { nextRequest } = api;
    api.nextRequest = api.restoreRequest('rehearsal');
    const end = () => {
      api.nextRequest = nextRequest;
      resolve();
    };
    rehearsal.refused = end;
    rehearsal.schedule = () => {
      // Whatever the function does meanwhile is outside of a call.
      Object.assign(errorCallbacks, callbacks);
      currentRequestId = undefined;
      delete process.env._X_AMZN_TRACE_ID;
      if (times-- === 0) {
        end();
      } else {
        Runtime.prototype.schedule.call(rehearsal);
      }
    };
    rehearsal.schedule();
  });
}

// The environment is saved in here, or, where no hook is to run in each copy, while it waits for its first event.
async function waitForRestore(runtime, snapshot) {
  const { api, handler } = runtime;
  try {
    await rehearse(api, handler, 16);
    await api.rehearsal();
    if (await snapshot.beforeSnapshot()) {
      const { nextRequest } = api;
      runtime.wake = () => {
        api.nextRequest = nextRequest;
        snapshot.wake();
      };
      // Where the copies wait; one that is made ahead of any call may be given a made-up event there.
      api.nextRequest = api.makeNextRequest('?rehearse');
      return true;
    }
  } catch (error) {
    logError('Uncaught Exception', error);
    api.initError(error, () => process.exit(64));
    return false;
  }
  const { status, headers } = await api.restoreNext();
  if (status !== 200) {
    process.exit(1);
  }
  try {
    await snapshot.afterRestore();
    if (headers['hearth-restored'] === 'ahead') {
      await rehearse(api, handler, 1);
    }
  } catch (error) {
    logError('Uncaught Exception', error);
    api.restoreError(error, () => process.exit(65));
    return false;
  }
  return true;
}

// ES modules find packages of layers and of the runtime through links at /var/node_modules and
// /node_modules; require finds them along NODE_PATH, in AWS's order, which the links would upset.
function hideLinksFromRequire() {
  const Module = require('module');
  const plain = Module._nodeModulePaths;
  Module._nodeModulePaths = (from) => plain.call(Module, from).filter(
    (directory) => directory !== '/var/node_modules' && directory !== '/node_modules');
}

async function main() {
  hideLinksFromRequire();
  patchConsole();
  installStreaming();
  const snapshot = process.env.AWS_LAMBDA_INITIALIZATION_TYPE === 'snap-start' ? require('./snapshot.cjs') : null;
  if (snapshot !== null) {
    snapshot.install();
  }
  const api = new RuntimeApi(process.env.AWS_LAMBDA_RUNTIME_API);
  // Outside of a call there is nobody to tell but the log and the init.
  const initFailed = (code) => (error) => {
    if (api.waiting !== null) {
      process.exit(code);
    }
    api.initError(error, () => process.exit(code));
  };
  errorCallbacks.uncaughtException = initFailed(129);
  errorCallbacks.unhandledRejection = initFailed(128);
  process.on('uncaughtException', (error) => {
    logError('Uncaught Exception', error);
    api.waiting !== null ? process.exit(129) : errorCallbacks.uncaughtException(error);
  });
  process.on('unhandledRejection', (reason, promise) => {
    const error = new UnhandledPromiseRejection(reason, promise);
    logError('Unhandled Promise Rejection', error);
    api.waiting !== null ? process.exit(128) : errorCallbacks.unhandledRejection(error);
  });
  let handler;
  try {
    handler = await loadHandler(process.env.LAMBDA_TASK_ROOT || '/var/task', process.env._HANDLER || '');
  } catch (error) {
    logError('Uncaught Exception', error);
    api.initError(error, () => process.exit(1));
    return;
  }
  const runtime = new Runtime(api, handler);
  if (snapshot === null || await waitForRestore(runtime, snapshot)) {
    runtime.schedule();
  }
}

main();
