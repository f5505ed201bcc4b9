// An answer that flows: what a handler of awslambda.streamifyResponse writes goes to the Runtime API at
// once, in chunks on a connection of its own; an error after the first byte goes into the trailer.
//
// As AWS's own client (aws-lambda-nodejs-runtime-interface-client) does it, seen from the handler:
// write takes text and bytes and turns all else into JSON; a stream that the handler never ends waits
// for the function's timeout; a destroyed stream is a truncated answer.
'use strict';

const net = require('net');
const { Writable } = require('stream');

const SMALL_BYTES = 64 * 1024;

class InvalidStreamingOperation extends Error {
  constructor(message) {
    super(message);
    this.name = 'Runtime.InvalidStreamingOperation';
  }
}

// The connection that answers flow on; kept from one invocation to the next.
class Channel {
  constructor(address) {
    this.address = address;
    this.socket = null;
    this.reader = null;
  }

  // `onAnswer(status)` when the Runtime API has answered, with 0 when the connection ended before.
  open(onAnswer) {
    if (this.socket === null || this.socket.destroyed || !this.socket.writable) {
      this.connect();
    }
    this.received = '';
    this.reader = onAnswer;
    this.socket.ref();
    return this.socket;
  }

  connect() {
    const socket = net.connect(this.address);
    socket.setNoDelay(true);
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      if (this.socket === socket) {
        this.onData(chunk);
      }
    });
    socket.on('close', () => {
      if (this.socket === socket) {
        this.socket = null;
        this.answered(0);
      }
    });
    this.socket = socket;
  }

  onData(chunk) {
    this.received += chunk.latin1Slice();
    const end = this.received.indexOf('\r\n\r\n');
    if (end < 0) {
      return;
    }
    const length = /^content-length: *(\d+)/im.exec(this.received.slice(0, end));
    if (this.received.length >= end + 4 + Number(length ? length[1] : 0)) {
      this.answered(Number(this.received.slice(9, 12)));
    }
  }

  answered(status) {
    const { reader } = this;
    this.reader = null;
    this.socket?.unref();
    if (reader !== null) {
      reader(status);
    }
  }
}

class ResponseStream extends Writable {
  constructor(channel, host, id, highWaterMark) {
    super({ decodeStrings: true, ...(highWaterMark > 0 ? { highWaterMark } : {}) });
    this._channel = channel;
    this._head =
      `POST /2018-06-01/runtime/invocation/${id}/response HTTP/1.1\r\nHost: ${host}\r\n` +
      'Lambda-Runtime-Function-Response-Mode: streaming\r\nTransfer-Encoding: chunked\r\n' +
      'Trailer: Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body\r\n';
    this._contentType = 'application/octet-stream';
    this._socket = null;
    this._writeCalled = false;
    this._trailers = '';
    this._onBeforeFirstWrite = null;
    // Settles with the Runtime API's status; 0 when its connection ended.
    this.answered = new Promise((resolve) => { this._onAnswer = resolve; });
    // An error that nobody listens for is told by the handler's promise.
    this.on('error', () => {});
  }

  setContentType(type) {
    if (this._writeCalled) {
      throw new InvalidStreamingOperation('Cannot set content-type, too late.');
    }
    this._contentType = String(type).replace(/[^\x20-\x7e]/g, ' ');
  }

  write(chunk, encoding, callback) {
    let data = chunk;
    if (typeof chunk !== 'string' && !(chunk instanceof Uint8Array)) {
      data = JSON.stringify(chunk);
    }
    if (!this._writeCalled) {
      this._writeCalled = true;
      if (typeof this._onBeforeFirstWrite === 'function') {
        this._onBeforeFirstWrite((first) => super.write(first));
      }
    }
    return super.write(data, encoding, callback);
  }

  end(chunk, encoding, callback) {
    if (chunk !== undefined && chunk !== null && typeof chunk !== 'function') {
      this.write(chunk, typeof encoding === 'string' ? encoding : undefined);
      return super.end(typeof encoding === 'function' ? encoding : callback);
    }
    return super.end(chunk, encoding, callback);
  }

  // Whether the Runtime API has heard of this answer.
  get begun() {
    return this._socket !== null;
  }

  // A destroyed stream's connection has ended, too.
  settled() {
    return this._socket === null || this._socket.destroyed ? this.answered : Promise.resolve();
  }

  // Ends the answer with an error in its trailer.
  fail(error) {
    const body = Buffer.from(JSON.stringify(error)).toString('base64');
    this._trailers =
      `Lambda-Runtime-Function-Error-Type: ${String(error.errorType).replace(/[^\x20-\x7e]/g, ' ')}\r\n` +
      `Lambda-Runtime-Function-Error-Body: ${body}\r\n`;
    return new Promise((resolve) => super.end(() => resolve()));
  }

  _begin() {
    if (this._socket === null) {
      this._socket = this._channel.open((status) => {
        this._onAnswer(status);
        if (!this.writableFinished) {
          // Refused in the middle, or gone: nobody takes the rest.
          this.destroy();
        }
      });
      // The head and a first small chunk travel together.
      const socket = this._socket;
      socket.cork();
      process.nextTick(() => socket.uncork());
      socket.write(`${this._head}Content-Type: ${this._contentType}\r\n\r\n`, 'latin1');
    }
    return this._socket;
  }

  _write(chunk, _encoding, done) {
    this._send([chunk], chunk.length, done);
  }

  _writev(entries, done) {
    const chunks = entries.map((entry) => entry.chunk);
    this._send(chunks, chunks.reduce((sum, chunk) => sum + chunk.length, 0), done);
  }

  // One chunk on the wire for all that waits.
  _send(chunks, size, done) {
    if (size === 0) {
      done();
      return;
    }
    const socket = this._begin();
    const line = Buffer.from(`${size.toString(16)}\r\n`, 'latin1');
    const end = Buffer.from('\r\n', 'latin1');
    let taken;
    if (size <= SMALL_BYTES) {
      taken = socket.write(Buffer.concat([line, ...chunks, end]));
    } else {
      socket.cork();
      socket.write(line);
      for (const chunk of chunks) {
        socket.write(chunk);
      }
      taken = socket.write(end);
      process.nextTick(() => socket.uncork());
    }
    if (taken) {
      done();
    } else {
      const proceed = () => {
        socket.off('drain', proceed);
        socket.off('close', proceed);
        done();
      };
      socket.on('drain', proceed);
      socket.on('close', proceed);
    }
  }

  _final(done) {
    this._begin().write(`0\r\n${this._trailers}\r\n`, 'latin1', () => done());
  }

  _destroy(error, done) {
    if (this._socket !== null && !this.writableFinished) {
      this._socket.destroy();
    } else if (this._socket === null) {
      this._onAnswer(0);
    }
    done(error);
  }
}

module.exports = { Channel, ResponseStream };
