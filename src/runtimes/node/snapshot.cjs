// What the runtime does around a snapshot: the function's hooks, and what must not be the same in two copies.
//
// Loaded only where the environment starts to be saved (AWS_LAMBDA_INITIALIZATION_TYPE=snap-start). AWS has
// no such hooks for Node.js; these are Hearth's own, after the ones it has for Python:
//
//   awslambda.registerBeforeSnapshot(async () => { ... });   // the one registered last runs first
//   awslambda.registerAfterRestore(async () => { ... });     // in the order of their registration
'use strict';

const before = [];
const after = [];

// xoshiro128**, seeded by OpenSSL. V8's own generator cannot be seeded again, so every copy would draw
// the same numbers from it.
const state = new Uint32Array(4);

// What was drawn before the copy was made is used by no copy; it is drawn anew by the first that asks,
// because most functions never do, and 128 identifiers take a millisecond.
let seedIsOld = true;
let identifiersAreOld = false;
// Somewhere from here on the copies are made: timers of the function that draw meanwhile leave nothing behind.
let resting = false;

let crypto = null;
let drawIdentifier = null;

function seed() {
  seedIsOld = resting;
  // By OpenSSL, which was reseeded before any code ran: a file would touch 30 pages more.
  const bytes = crypto.randomFillSync(Buffer.alloc(16));
  for (let i = 0; i < 4; ++i) {
    state[i] = bytes.readUInt32LE(4 * i);
  }
}

// Node keeps 128 identifiers drawn from OpenSSL.
function renewIdentifiers() {
  identifiersAreOld = false;
  for (let i = 0; i < 128; ++i) {
    drawIdentifier();
  }
}

function next32() {
  const rotated = Math.imul(state[1], 5);
  const result = Math.imul((rotated << 7) | (rotated >>> 25), 9) >>> 0;
  const shifted = state[1] << 9;
  state[2] ^= state[0];
  state[3] ^= state[1];
  state[1] ^= state[2];
  state[0] ^= state[3];
  state[2] ^= shifted;
  state[3] = (state[3] << 11) | (state[3] >>> 21);
  return result;
}

function random() {
  if (seedIsOld) {
    seed();
  }
  // 53 bits, as the language asks for.
  return ((next32() >>> 5) * 67108864 + (next32() >>> 6)) / 9007199254740992;
}

function replace(object, name, make) {
  const { value, ...how } = Object.getOwnPropertyDescriptor(object, name);
  const made = make(value);
  Object.defineProperty(made, 'name', { value: name, configurable: true });
  Object.defineProperty(object, name, { ...how, value: made });
}

// Before the function's code runs, which may keep references to what is replaced here.
function install() {
  crypto = require('crypto');
  drawIdentifier = crypto.randomUUID;
  replace(Math, 'random', () => random);
  replace(crypto, 'randomUUID', (draw) => (options) => {
    if (resting) {
      return draw({ ...options, disableEntropyCache: true });
    }
    if (identifiersAreOld) {
      renewIdentifiers();
    }
    return draw(options);
  });
  if (crypto.webcrypto?.randomUUID) {
    // The same identifiers.
    replace(Object.getPrototypeOf(crypto.webcrypto), 'randomUUID', (draw) => function randomUUID() {
      if (identifiersAreOld && !resting) {
        renewIdentifiers();
      }
      const identifier = draw.call(this);
      return resting ? crypto.randomUUID() : identifier;
    });
  }
  // For those who import it by name.
  require('module').syncBuiltinESMExports();
  globalThis.awslambda.registerBeforeSnapshot = (hook) => {
    before.push(hook);
    return hook;
  };
  globalThis.awslambda.registerAfterRestore = (hook) => {
    after.push(hook);
    return hook;
  };
}

// A heap in which copies touch little. What is compiled stays: a collection would throw out functions that
// ran only once, and every copy would compile them again.
function collect() {
  const v8 = require('v8');
  v8.setFlagsFromString('--no-flush-bytecode');
  v8.setFlagsFromString('--expose-gc');
  require('vm').runInNewContext('gc')();
}

// True: copies have nothing to do before their first event, and need not be told that they are copies.
async function beforeSnapshot() {
  while (before.length > 0) {
    await before.pop()();
  }
  // What a copy runs is loaded and compiled now.
  seed();
  renewIdentifiers();
  await afterRestore([() => {}]);
  resting = true;
  seedIsOld = true;
  collect();
  return after.length === 0;
}

// With the first event, or before the function's hooks.
function wake() {
  resting = false;
  seedIsOld = true;
  identifiersAreOld = true;
}

async function afterRestore(hooks = after) {
  wake();
  while (hooks.length > 0) {
    await hooks.shift()();
  }
}

module.exports = { install, beforeSnapshot, wake, afterRestore };
