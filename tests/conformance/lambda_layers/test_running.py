"""What functions find below /opt: all their layers merged, later ones on top, and where the runtimes
look. Source: "Working with layers", "Layer paths for each Lambda runtime", Lambda Developer Guide."""

import os
import stat

import pytest

from hearth_up import build_directory
from layers import zip_of

SCRIPT = 0o100755
LINK = stat.S_IFLNK | 0o777
LIST = """
import os
def handler(event, context):
    found = {}
    for directory, names, files in os.walk('/opt'):
        for name in files + [n for n in names if os.path.islink(os.path.join(directory, n))]:
            path = os.path.join(directory, name)
            found[path] = os.readlink(path) if os.path.islink(path) else open(path).read()
    return found
"""


def arns(*layers):
    return [layer["LayerVersionArn"] for layer in layers]


def test_later_layers_win(client, publish, deploy):
    first = publish({"name": "first", "lib/a": "1", "lib/first": "1", "swap/inner": "1", "file": "1"})
    second = publish({"name": "second", "lib/a": "2", "swap": "a file", "file/inner": "2"})
    third = publish({"name": "third", "lib/link": ("a", LINK)})
    function = deploy(LIST, Layers=arns(first, second, third))
    assert function.invoke({}).json() == {
        "/opt/name": "third",
        "/opt/lib/a": "2",
        "/opt/lib/first": "1",
        "/opt/lib/link": "a",
        "/opt/swap": "a file",
        "/opt/file/inner": "2",
    }
    client.update_function_configuration(
        FunctionName=function.name, Layers=arns(third, second, first)
    )
    assert function.invoke({}).json() == {
        "/opt/name": "first",
        "/opt/lib/a": "1",
        "/opt/lib/first": "1",
        "/opt/lib/link": "a",
        "/opt/swap/inner": "1",
        "/opt/file": "1",
    }
    client.update_function_configuration(FunctionName=function.name, Layers=arns(second))
    assert function.invoke({}).json()["/opt/name"] == "second"
    client.update_function_configuration(FunctionName=function.name, Layers=[])
    assert function.invoke({}).json() == {}


def test_five_layers_two_of_which_are_the_same_files(publish, deploy):
    layers = [publish({"name": str(n), f"only-{n}": ""}) for n in range(4)]
    again = publish({"name": "1", "only-1": ""})
    function = deploy(LIST, Layers=arns(*layers, again))
    assert function.invoke({}).json() == {
        "/opt/name": "1",
        **{f"/opt/only-{n}": "" for n in range(4)},
    }


def test_nothing_of_it_can_be_changed(publish, deploy):
    code = """
import os
def handler(event, context):
    errors = []
    for attempt in (lambda: open('/opt/name', 'w'), lambda: open('/opt/new', 'w'),
                    lambda: os.unlink('/opt/name'), lambda: os.rename('/opt/name', '/opt/x'),
                    lambda: os.chmod('/opt/name', 0o777), lambda: os.mkdir('/opt/dir'),
                    lambda: os.setxattr('/opt/name', 'user.x', b'')):
        try:
            attempt()
            errors.append('done')
        except OSError as error:
            errors.append(error.strerror)
    return errors
"""
    for layers in ([{"name": "a"}], [{"name": "a"}, {"other": "b"}]):
        function = deploy(code, Layers=arns(*(publish(files) for files in layers)))
        assert set(function.invoke({}).json()) <= {
            "Read-only file system", "Permission denied", "Operation not permitted",
        }


def test_environments_see_their_own_layers_only(publish, deploy):
    mine, other = publish({"mine": "1"}), publish({"other": "2"})
    one, two = deploy(LIST, Layers=arns(mine)), deploy(LIST, Layers=arns(other))
    none = deploy(LIST)
    assert one.invoke({}).json() == {"/opt/mine": "1"}
    assert two.invoke({}).json() == {"/opt/other": "2"}
    assert none.invoke({}).json() == {}


def test_links_of_a_layer_lead_nowhere_outside(publish, deploy):
    """A link that stays inside the archive may still point at what another layer has there."""
    first = publish({"real/secret": "of the first"})
    second = publish({"real": ("elsewhere", LINK), "elsewhere/x": "1"})
    code = "import os\ndef handler(event, context):\n    return [os.listdir('/opt/real'), os.listdir('/opt')]\n"
    function = deploy(code, Layers=arns(first, second))
    assert [sorted(names) for names in function.invoke({}).json()] == [["x"], ["elsewhere", "real"]]


def test_python_finds_modules(publish, deploy):
    layer = publish(
        {
            "python/plain.py": "where = 'python'",
            "python/lib/python3.12/site-packages/packaged.py": "where = 'site-packages'",
            "python/both.py": "where = 'python'",
            "python/lib/python3.12/site-packages/both.py": "where = 'site-packages'",
            "python/hidden.py": "where = 'layer'",
        }
    )
    code = (
        "import both, hidden, packaged, plain\n"
        "def handler(event, context):\n"
        "    return [plain.where, packaged.where, both.where, hidden.where]\n"
    )
    function = deploy({"app.py": code, "hidden.py": "where = 'function'"}, Layers=arns(layer))
    assert function.invoke({}).json() == ["python", "site-packages", "site-packages", "function"]


def test_node_finds_modules(publish, deploy):
    layer = publish(
        {
            "nodejs/node_modules/plain/index.js": "exports.where = 'node_modules';",
            "nodejs/node_modules/dependent/index.js": "exports.where = require('plain').where + ', too';",
            "nodejs/node20/node_modules/versioned/index.js": "exports.where = 'node20';",
            "nodejs/node20/node_modules/both/index.js": "exports.where = 'node20';",
            "nodejs/node_modules/both/index.js": "exports.where = 'node_modules';",
        }
    )
    code = (
        "const names = ['plain', 'dependent', 'versioned', 'both'];\n"
        "exports.handler = async () => names.map((name) => require(name).where);\n"
    )
    function = deploy(code, runtime="nodejs20.x", handler="index.handler", Layers=arns(layer))
    assert function.invoke({}).json() == ["node_modules", "node_modules, too", "node20", "node20"]


def test_node_finds_the_runtimes_own(deploy):
    """The SDK is found by both kinds of modules."""
    if not os.path.isdir(os.path.join(build_directory(), "runtimes/node/node_modules/@aws-sdk")):
        pytest.skip("this build has no SDK for Node.js")
    code = (
        "import { createRequire } from 'module';\n"
        "import sdk from '@aws-sdk/client-sts';\n"
        "const found = createRequire(import.meta.url).resolve('@aws-sdk/client-sts');\n"
        "export const handler = async () =>\n"
        "  found.startsWith('/var/runtime/node_modules') && typeof sdk.STSClient;\n"
    )
    function = deploy({"index.mjs": code}, runtime="nodejs20.x", handler="index.handler")
    assert function.invoke({}).json() == "function"


def test_node_finds_es_modules(publish, deploy):
    layer = publish(
        {
            "nodejs/node_modules/modern/package.json": '{"type": "module", "exports": "./main.js"}',
            "nodejs/node_modules/modern/main.js": "import old from 'old'; export const where = 'layer, ' + old;",
            "nodejs/node_modules/old/index.js": "module.exports = 'old';",
        }
    )
    code = "import { where } from 'modern';\nexport const handler = async () => where;\n"
    function = deploy(
        {"index.mjs": code}, runtime="nodejs20.x", handler="index.handler", Layers=arns(layer)
    )
    assert function.invoke({}).json() == "layer, old"


BOOTSTRAP = """#!/bin/bash
while true; do
    id=$(curl -sD - -o /dev/null "http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation/next" |
        tr -d '\\r' | sed -n 's/^[Ll]ambda-[Rr]untime-[Aa]ws-[Rr]equest-[Ii]d: //p')
    curl -s -d "\\"$(tool)\\"" "http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation/$id/response" >&2
done
"""


@pytest.mark.skipif(not os.path.exists("/usr/bin/curl"), reason="no curl")
def test_a_layer_may_be_the_runtime(publish, deploy):
    """/opt/bootstrap runs functions that bring none; of two the later layer's; /opt/bin is in PATH."""
    dead = publish({"bootstrap": ("#!/bin/sh\nexit 3\n", SCRIPT), "bin/tool": "not executable"})
    alive = publish({"bootstrap": (BOOTSTRAP, SCRIPT)})
    tool = publish({"bin/tool": ("#!/bin/sh\necho from /opt/bin\n", SCRIPT)})
    function = deploy({"data": ""}, runtime="provided.al2023", Layers=arns(dead, alive, tool))
    assert function.invoke({}).json() == "from /opt/bin"
    broken = deploy({"data": ""}, runtime="provided.al2023", Layers=arns(alive, dead))
    assert broken.invoke({}).json()["errorType"] == "Runtime.ExitError"
    plain = publish({"bootstrap": ("#!/bin/sh\n", 0o100644)})
    unable = deploy({"data": ""}, runtime="provided.al2023", Layers=arns(alive, plain))
    answer = unable.invoke({}).json()
    assert answer["errorType"] == "Runtime.InvalidEntrypoint"
    assert "fork/exec /opt/bootstrap: permission denied" in answer["errorMessage"]


WRAPPER = """#!/bin/bash
args=("$@")
export WRAPPED="${args[0]##*/}"
args=("${args[@]:0:$#-1}" "${EXTRA[@]}" "${args[@]: -1}")
exec "${args[@]}"
"""


@pytest.mark.parametrize(
    "runtime, code, program",
    [
        ("python3.12", "import os\ndef handler(e, c):\n    return os.environ['WRAPPED'][:6]\n", "python"),
        ("nodejs20.x", "exports.handler = async () => process.env.WRAPPED.slice(0, 4);\n", "node"),
    ],
)
def test_a_wrapper_starts_the_runtime(publish, deploy, runtime, code, program):
    layer = publish({"wrap/er": (WRAPPER, SCRIPT), "plain": "x"})
    handler = "app.handler" if program == "python" else "index.handler"

    def wrapped(path):
        environment = {"Variables": {"AWS_LAMBDA_EXEC_WRAPPER": path}}
        return deploy(
            code, runtime=runtime, handler=handler, Layers=arns(layer), Environment=environment
        )

    assert wrapped("/opt/wrap/er").invoke({}).json() == program
    for path, status, text in (
        ("/opt/missing", 127, "/opt/missing: does not exist"),
        ("/opt/plain", 126, "/opt/plain: is not an executable"),
    ):
        call = wrapped(path).invoke({})
        assert call.json()["errorType"] == "Runtime.ExitError"
        assert f"exit status {status}" in call.json()["errorMessage"]
        assert text in call.log


def test_many_files(publish, deploy):
    """Mounted as quickly as few: tests/perf has the figure."""
    layer = publish(zip_of({f"d{n % 100}/f{n}": "" for n in range(20_000)}))
    small = publish({"one": "1"})
    code = (
        "import os\ndef handler(event, context):\n"
        "    return sum(len(os.listdir(f'/opt/d{n}')) for n in range(100))\n"
    )
    assert deploy(code, Layers=arns(layer)).invoke({}).json() == 20_000
    assert deploy(code, Layers=arns(layer, small)).invoke({}).json() == 20_000
