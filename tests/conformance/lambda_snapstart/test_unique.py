"""Random values of clones made soon after the dump: no two alike.

OpenSSL seeds itself anew by age, so an image must be young for a fault to show. `./dev soak unique`
draws from 10,000 clones.
"""

import os
import secrets

from conftest import images

from test_restore import LEAVE, LEAVE_JS

CLONES = int(os.environ.get("HEARTH_SOAK_COUNT", 200))

PYTHON = LEAVE + """
import base64, random, secrets, ssl, tempfile, uuid
# Used before the dump, so that each has state to copy.
drawn = [random.random(), secrets.token_hex(), ssl.RAND_bytes(16), uuid.uuid4(), uuid.uuid1(),
         os.urandom(16), next(tempfile._get_candidate_names())]
tls = ssl.create_default_context()
def client_hello():
    # Its random and its session id, which a client of TLS 1.3 draws, too.
    sent = ssl.MemoryBIO()
    try:
        tls.wrap_bio(ssl.MemoryBIO(), sent, server_hostname="example.com").do_handshake()
    except ssl.SSLWantReadError:
        pass
    hello = sent.read()
    assert hello[0] == 22 and hello[5] == 1 and hello[43] == 32
    return hello[11:43].hex(), hello[44:76].hex()
drawn.append(client_hello())
def handler(event, context):
    leave(event)
    with tempfile.NamedTemporaryFile() as file:
        name = file.name
    hello, session = client_hello()
    return {"client hello": hello, "session": session,
            "random": random.random(), "secrets": secrets.token_hex(), "ssl": ssl.RAND_bytes(16).hex(),
            "uuid4": str(uuid.uuid4()), "uuid1": str(uuid.uuid1()), "urandom": os.urandom(16).hex(),
            "tempfile": name, "randrange": random.randrange(2**62)}
"""

NODE = LEAVE_JS + """
const crypto = require('crypto');
const tls = require('tls');
const { Duplex } = require('stream');
const secureContext = tls.createSecureContext();
const clientHello = () => new Promise((done) => {
  const wire = new Duplex({ read() {}, write(part, encoding, next) { done(part); next(); } });
  const client = tls.connect({ socket: wire, secureContext, servername: 'example.com' });
  client.on('error', () => {});
});
Math.random(); crypto.randomUUID(); crypto.randomBytes(16);
// Draws also while the environment is being saved.
setInterval(() => { Math.random(); crypto.randomUUID(); }, 1).unref();
exports.handler = async (event) => {
  leave(event);
  const hello = await clientHello();
  if (hello[0] !== 22 || hello[5] !== 1 || hello[43] !== 32) throw new Error('no ClientHello');
  return { hello: hello.subarray(11, 43).toString('hex'), session: hello.subarray(44, 76).toString('hex'),
           random: Math.random(), uuid: crypto.randomUUID(), webUuid: crypto.webcrypto.randomUUID(),
           bytes: crypto.randomBytes(16).toString('hex'),
           web: Buffer.from(crypto.webcrypto.getRandomValues(new Uint8Array(16))).toString('hex'),
           int: crypto.randomInt(2 ** 47),
           key: crypto.generateKeySync('aes', { length: 128 }).export().toString('hex') };
};
"""


def assert_all_differ(version):
    seen = {}
    for _ in range(CLONES):
        call = version.clone()
        assert "Restore Duration" in call.log
        for kind, value in call.json().items():
            values = seen.setdefault(kind, set())
            assert value not in values, f"{kind} gave {value} twice"
            values.add(value)


def test_python(publish):
    assert_all_differ(publish(PYTHON))


def test_node(publish):
    assert_all_differ(publish(NODE, runtime="nodejs20.x", handler="index.handler"))


PLANTED = LEAVE + """
import re
kept = []
pattern = re.compile(b"PLAN" b"[T]ED-[0-9a-f]{32}")
def memory():
    # All that this process can read of itself.
    with open("/proc/self/maps") as maps, open("/proc/self/mem", "rb") as mem:
        for line in maps:
            area, rights, *_, = line.split(None, 5)
            begin, end = (int(part, 16) for part in area.split("-"))
            if rights[:2] != "rw" or "[v" in line:
                continue
            mem.seek(begin)
            yield mem.read(end - begin)
def handler(event, context):
    leave(event)
    if event.get("plant"):
        kept.append(event["plant"].encode())
    return sorted({found.group().decode() for part in memory() for found in pattern.finditer(part)})
"""


def test_what_one_was_told_is_in_no_other_and_not_in_the_image(hearth, publish):
    before = set(images(hearth))
    version = publish(PLANTED)
    planted = set()
    for _ in range(5):
        secret = "PLANTED-" + secrets.token_hex(16)
        planted.add(secret)
        call = version.clone({"plant": secret})
        assert "Restore Duration" in call.log and call.json() == [secret], "the scan sees what is there, and no more"
        assert version.clone().json() == []
    (image,) = set(images(hearth)) - before
    for name in (image, image + ".use"):
        path = os.path.join(hearth.data, "snapshots", name)
        if os.path.exists(path):
            with open(path, "rb") as file:
                content = file.read()
            assert not any(secret.encode() in content for secret in planted)
