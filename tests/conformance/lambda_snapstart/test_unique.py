"""Random values of clones made soon after the dump: no two alike.

OpenSSL seeds itself anew by age, so an image must be young for a fault to show. `./dev soak snapshots`
draws from 10,000 clones.
"""

from test_restore import LEAVE, LEAVE_JS

CLONES = 100

PYTHON = LEAVE + """
import base64, random, secrets, ssl, tempfile, uuid
# Used before the dump, so that each has state to copy.
drawn = [random.random(), secrets.token_hex(), ssl.RAND_bytes(16), uuid.uuid4(), uuid.uuid1(),
         os.urandom(16), next(tempfile._get_candidate_names())]
def handler(event, context):
    leave(event)
    with tempfile.NamedTemporaryFile() as file:
        name = file.name
    return {"random": random.random(), "secrets": secrets.token_hex(), "ssl": ssl.RAND_bytes(16).hex(),
            "uuid4": str(uuid.uuid4()), "uuid1": str(uuid.uuid1()), "urandom": os.urandom(16).hex(),
            "tempfile": name, "randrange": random.randrange(2**62)}
"""

NODE = LEAVE_JS + """
const crypto = require('crypto');
Math.random(); crypto.randomUUID(); crypto.randomBytes(16);
// Draws also while the environment is being saved.
setInterval(() => { Math.random(); crypto.randomUUID(); }, 1).unref();
exports.handler = async (event) => {
  leave(event);
  return { random: Math.random(), uuid: crypto.randomUUID(), webUuid: crypto.webcrypto.randomUUID(), bytes: crypto.randomBytes(16).toString('hex'),
           web: Buffer.from(crypto.webcrypto.getRandomValues(new Uint8Array(16))).toString('hex'),
           int: crypto.randomInt(2 ** 47), key: crypto.generateKeySync('aes', { length: 128 }).export().toString('hex') };
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
