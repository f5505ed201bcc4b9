#!/usr/bin/python3
"""Writes hearth(1) from the program's own help.

usage: manpage.py PROGRAM > hearth.1

The commands and options are what `PROGRAM --help` and `PROGRAM COMMAND --help` print; only what help does
not say (files, environment, exit status) is written here.
"""

import datetime
import os
import re
import subprocess
import sys

ENVIRONMENT = [
    ("HEARTH_ROOT_ACCESS_KEY_ID, HEARTH_ROOT_SECRET_ACCESS_KEY",
     "The root key that the first start writes, instead of a random one."),
    ("AWS_ENDPOINT_URL, AWS_REGION, AWS_DEFAULT_REGION",
     "Where commands find the cloud, and the region they use, unless options say otherwise."),
]
FILES = [
    ("/var/lib/hearth", "The data directory of the service: everything that is kept."),
    ("DATA/credentials", "The root key, in the format of ~/.aws/credentials."),
    ("DATA/master.key", "The key that encrypts stored secrets. A backup without it cannot be read."),
    ("DATA/ca.pem", "The certificate authority of --tls self."),
    ("/etc/default/hearth", "Options of the service: HEARTH_OPTIONS."),
]
DESCRIPTION = """\
Hearth runs functions behind the AWS APIs on your own machine, so that unchanged SDKs, the aws command
line, Terraform, CDK and SAM work against it. It needs no container engine, no account and no token. What
it has acknowledged is on disk, and functions are locked into namespaces of their own.
.PP
.B hearth up
starts a cloud in the foreground and prints the lines that point clients at it. The other commands ask a
cloud that runs."""


def text(line):
    """Escapes what roff would take as its own."""
    line = line.replace("\\", "\\e").replace("-", "\\-")
    return "\\&" + line if line.startswith((".", "'")) else line


def help_of(program, *command):
    environment = dict(os.environ, HOME="/root", COLUMNS="80")
    done = subprocess.run(
        [program, *command, "--help"], check=True, capture_output=True, text=True, env=environment
    )
    return done.stdout


def entries(help_text, heading):
    """[(term, explanation)] of one section of CLI11's help, continuation lines joined."""
    found = []
    inside = False
    for line in help_text.splitlines():
        if line.rstrip() == heading:
            inside = True
        elif inside and line and not line.startswith(" "):
            break
        elif inside and line.strip():
            indent = len(line) - len(line.lstrip())
            parts = re.split(r"\s{2,}", line.strip(), maxsplit=1)
            if indent > 10 and found:
                found[-1][1].append(line.strip())
            else:
                found.append((parts[0], parts[1:]))
    return [(term, " ".join(explanation)) for term, explanation in found]


def listed(pairs):
    lines = []
    for term, explanation in pairs:
        lines += [".TP", f".B {text(term)}", text(explanation)]
    return lines


def command_section(program, name):
    shown = help_of(program, name)
    usage = re.search(r"^Usage:\s*(.*)$", shown, re.MULTILINE)
    summary = shown.splitlines()[0] if not shown.startswith("Usage") else ""
    lines = [f".SS {text('hearth ' + name)}", text(summary), ".PP"]
    if usage:
        lines += [".EX", text(usage.group(1)), ".EE"]
    for heading in ("Positionals:", "Options:", "Subcommands:"):
        pairs = [pair for pair in entries(shown, heading) if "--help" not in pair[0]]
        lines += listed(pairs)
    return lines


def main():
    program = sys.argv[1]
    version = subprocess.run(
        [program, "--version"], check=True, capture_output=True, text=True
    ).stdout.split()[-1]
    stamp = int(os.environ.get("SOURCE_DATE_EPOCH", "0"))
    date = datetime.datetime.fromtimestamp(stamp, datetime.timezone.utc).date().isoformat()
    top = help_of(program)
    commands = entries(top, "Subcommands:")
    lines = [
        f'.TH HEARTH 1 "{date}" "Hearth {version}" "User Commands"',
        ".SH NAME",
        "hearth \\- a serverless cloud for your own machines",
        ".SH SYNOPSIS",
        ".B hearth",
        "COMMAND [OPTIONS]",
        ".SH DESCRIPTION",
        DESCRIPTION,
        ".SH COMMANDS",
        *listed(commands),
        ".SH OPTIONS OF COMMANDS",
    ]
    for name, _ in commands:
        if name != "aws":
            lines += command_section(program, name)
    lines += [".SH ENVIRONMENT", *listed(ENVIRONMENT)]
    lines += [".SH FILES", *listed(FILES)]
    lines += [
        ".SH EXIT STATUS",
        text("0 when the command did what it was asked to; 2 from hearth invoke when the function failed;"),
        "another value otherwise, with the reason on standard error.",
        ".SH EXAMPLES",
        ".EX",
        text("hearth up"),
        text("hearth aws lambda list-functions"),
        text("hearth logs -f my-function"),
        text("systemctl enable --now hearth"),
        ".EE",
        ".SH SEE ALSO",
        text("aws(1), systemctl(1)"),
    ]
    print("\n".join(lines))


if __name__ == "__main__":
    main()
