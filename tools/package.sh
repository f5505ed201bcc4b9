#!/usr/bin/env bash
# Makes a Debian package of a finished build; packaging/README.md says what is in it.
#
# usage: tools/package.sh BUILD_DIRECTORY [OUTPUT_DIRECTORY]
set -eu -o pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
fail() { printf 'package: %s\n' "$*" >&2; exit 1; }

[ $# -ge 1 ] || fail "which build directory? For example: tools/package.sh build/release"
build=$(realpath "$1")
output=${2:-build/package}
programs="hearth hearth-cloud hearth-host hearth-init hearth-vmm hearth-guest-init"
for program in $programs; do
    [ -x "$build/$program" ] || fail "$build/$program is not there; run ./dev build release first"
done
[ -d "$build/runtimes" ] || fail "$build/runtimes is not there; run ./dev build release first"
for tool in dpkg-deb dpkg-shlibdeps; do
    command -v "$tool" >/dev/null || fail "$tool is missing: install dpkg-dev"
done

# The same commit gives the same package.
if [ -z "${SOURCE_DATE_EPOCH:-}" ]; then
    SOURCE_DATE_EPOCH=$(git log -1 --format=%ct 2>/dev/null || date +%s)
fi
export SOURCE_DATE_EPOCH

version=$("$build/hearth" --version | awk '{ print $NF }')
architecture=$(dpkg --print-architecture)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tree=$work/tree

# Programs, and what they look for beside themselves.
install -d "$tree/usr/lib/hearth" "$tree/usr/bin"
for program in $programs; do
    install -m 0755 "$build/$program" "$tree/usr/lib/hearth/$program"
    strip --strip-unneeded "$tree/usr/lib/hearth/$program"
done
cp -r --no-preserve=ownership "$build/runtimes" "$tree/usr/lib/hearth/runtimes"
# The build's own marks and logs.
find "$tree/usr/lib/hearth/runtimes" -maxdepth 2 -name '.*' -type f -delete
ln -s ../lib/hearth/hearth "$tree/usr/bin/hearth"

# The service.
install -D -m 0644 packaging/hearth.service "$tree/lib/systemd/system/hearth.service"
install -D -m 0644 packaging/hearth.default "$tree/etc/default/hearth"

# Documentation and completion, from the program itself.
documents=$tree/usr/share/doc/hearth
install -d "$tree/usr/share/man/man1" "$documents"
/usr/bin/python3 -B packaging/manpage.py "$build/hearth" | gzip -9n >"$tree/usr/share/man/man1/hearth.1.gz"
install -m 0644 README.md docs/security.md "$documents/" 2>/dev/null || install -m 0644 README.md "$documents/"
cp -r --no-preserve=ownership docs/compatibility "$documents/compatibility"
cat >"$documents/copyright" <<'TEXT'
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: Hearth

Files: *
Copyright: the authors of Hearth
License: Apache-2.0
 On Debian systems the text is in /usr/share/common-licenses/Apache-2.0.
TEXT
completion() {
    install -d "$tree/$(dirname "$2")"
    "$build/hearth" completion "$1" >"$tree/$2"
}
completion bash usr/share/bash-completion/completions/hearth
completion zsh usr/share/zsh/vendor-completions/_hearth
completion fish usr/share/fish/vendor_completions.d/hearth.fish

# Which packages hold the libraries that the programs are linked with. dpkg-shlibdeps wants a source
# package around it.
mkdir -p "$work/debian"
printf 'Source: hearth\n\nPackage: hearth\nArchitecture: any\n' >"$work/debian/control"
depends=$(
    cd "$work"
    arguments=
    for program in $programs; do
        # hearth-init and hearth-guest-init are linked statically.
        if readelf -d "tree/usr/lib/hearth/$program" | grep -q NEEDED; then
            arguments="$arguments -etree/usr/lib/hearth/$program"
        fi
    done
    # shellcheck disable=SC2086
    dpkg-shlibdeps -O --ignore-missing-info $arguments 2>"$work/shlibdeps.log" || {
        cat "$work/shlibdeps.log" >&2
        exit 1
    }
)
depends=${depends#shlibs:Depends=}

install -d "$tree/DEBIAN"
for script in postinst prerm postrm; do
    install -m 0755 "packaging/debian/$script" "$tree/DEBIAN/$script"
done
echo /etc/default/hearth >"$tree/DEBIAN/conffiles"
size=$(du -sk --exclude=DEBIAN "$tree" | cut -f1)
cat >"$tree/DEBIAN/control" <<TEXT
Package: hearth
Version: $version
Architecture: $architecture
Maintainer: The Hearth authors <hearth@localhost>
Installed-Size: $size
Depends: passwd, $depends
Recommends: python3, python3-boto3, nodejs, nftables, passt
Suggests: awscli, erofs-utils
Section: net
Priority: optional
Description: serverless cloud for your own machines
 Functions run behind the AWS APIs, so unchanged SDKs, the aws command line,
 Terraform, CDK and SAM work against it: without a container engine, an account
 or a token. What it acknowledges is durable, and functions are isolated.
TEXT
(cd "$tree" && find . -type f ! -path './DEBIAN/*' -printf '%P\0' | sort -z | xargs -0 md5sum) >"$work/md5sums"
install -m 0644 "$work/md5sums" "$tree/DEBIAN/md5sums"
find "$tree" -newermt "@$SOURCE_DATE_EPOCH" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +

mkdir -p "$output"
package=$output/hearth_${version}_${architecture}.deb
dpkg-deb --root-owner-group -Zxz --build "$tree" "$package" >/dev/null
printf '%s (%s KiB installed)\n' "$package" "$size"
