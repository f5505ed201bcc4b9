// What the runtime does around a snapshot: the function's hooks, and what must not be the same in two copies.
//
// Loaded only where the environment starts to be saved (AWS_LAMBDA_INITIALIZATION_TYPE=snap-start). AWS has
// no such hooks for Node.js; these are Hearth's own, after the ones it has for Python:
//
//   awslambda.registerBeforeSnapshot(async () => { ... });   // the one registered last runs first
//   awslambda.registerAfterRestore(async () => { ... });     // in the order of their registration
'use strict';

const fs = require('fs');

const before = [];
const after = [];

// xoshiro128**, seeded by the kernel. V8's own generator cannot be seeded again, so every copy would draw
// the same numbers from it.
const state = new Uint32Array(4);

function seed(bytes) {
  for (let i = 0; i < 4; ++i) {
    state[i] = bytes.readUInt32LE(4 * i);
  }
}

function bytesOfKernel() {
  const bytes = Buffer.alloc(16);
  const file = fs.openSync('/dev/urandom', 'r');
  try {
    fs.readSync(file, bytes, 0, 16, null);
  } finally {
    fs.closeSync(file);
  }
  return bytes;
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
  // 53 bits, as the language asks for.
  return ((next32() >>> 5) * 67108864 + (next32() >>> 6)) / 9007199254740992;
}

// Before the function's code runs, which may keep a reference to Math.random.
function install() {
  // Not by crypto, which takes 15 ms to load.
  seed(bytesOfKernel());
  Object.defineProperty(random, 'name', { value: 'random' });
  Math.random = random;
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

async function beforeSnapshot() {
  while (before.length > 0) {
    await before.pop()();
  }
  // What runs after the restore is loaded and compiled now, not in every copy.
  makeUnique();
  collect();
}

// OpenSSL was reseeded before any code ran. A file would be touched for nothing: half a millisecond.
function makeUnique() {
  const { randomFillSync, randomUUID } = require('crypto');
  seed(randomFillSync(Buffer.alloc(16)));
  // Node keeps 128 identifiers drawn from OpenSSL.
  for (let i = 0; i < 128; ++i) {
    randomUUID();
  }
}

async function afterRestore() {
  makeUnique();
  while (after.length > 0) {
    await after.shift()();
  }
}

module.exports = { install, beforeSnapshot, afterRestore };
