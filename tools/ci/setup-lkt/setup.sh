#!/bin/bash
# Installs lkt in the current directory and prepares the machine, for CI jobs (docs/ci). Writes PATH,
# environment and outputs to the files that GITHUB_PATH, GITHUB_ENV and GITHUB_OUTPUT name, if set.
#
#   MIRROR  address of a mirror of Debian; empty: that of apt
#   QEMU    true: install QEMU
set -euo pipefail

fail() {
  # GitHub makes an annotation of the first line, and writes "Error: " before it.
  local mark='error: '
  [ -z "${GITHUB_ACTIONS-}" ] || mark='::error::'
  printf '%s%s\n  fix: %s\n' "$mark" "$1" "$2" >&2
  exit 1
}

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n -- "$@"; fi
}

# Installs Debian packages unless all are there.
install_packages() {
  local missing=() name
  for name in "$@"; do
    dpkg-query --show --showformat '${db:Status-Status}' "$name" 2>/dev/null | grep -qx installed || missing+=("$name")
  done
  [ "${#missing[@]}" = 0 ] && return
  command -v apt-get >/dev/null || fail "this job needs ${missing[*]}" 'use a runner with Debian or Ubuntu'
  as_root apt-get -qq update
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes --no-install-recommends "${missing[@]}" >/dev/null
}

# Sets KEY=VALUE for the next steps of the job.
export_variable() {
  case $2 in *$'\n'*) fail "$1 has a line break" 'write it in one line' ;; esac
  [ -z "${GITHUB_ENV-}" ] || printf '%s=%s\n' "$1" "$2" >>"$GITHUB_ENV"
}

needed=(debian-archive-keyring git gpgv)
[ "${QEMU-}" != true ] || needed+=(ipxe-qemu ovmf qemu-system-x86)
install_packages "${needed[@]}"

# Ubuntu's AppArmor allows user namespaces only to programs with a profile. Builds need them.
restriction=/proc/sys/kernel/apparmor_restrict_unprivileged_userns
if [ -e "$restriction" ] && [ "$(cat "$restriction")" != 0 ]; then
  as_root sysctl --quiet --write kernel.apparmor_restrict_unprivileged_userns=0
fi
# GitHub's larger runners have KVM, but only for root.
if [ "${QEMU-}" = true ] && [ -e /dev/kvm ] && [ ! -w /dev/kvm ]; then
  as_root chmod a+rw /dev/kvm
fi

if [ -x lkt ] && [ -x tools/setup ]; then
  tools/setup
  bin=$PWD
elif [ -e package-lock.json ]; then
  npm ci --no-audit --no-fund --loglevel=error
  bin=$PWD/node_modules/.bin
  [ -x "$bin/lkt" ] || fail 'package-lock.json does not contain @lkt/cli' 'npm install --save-dev @lkt/cli'
else
  fail "there is no package-lock.json in $PWD" 'npm install --save-dev @lkt/cli, and commit package-lock.json'
fi

[ -z "${GITHUB_PATH-}" ] || printf '%s\n' "$bin" >>"$GITHUB_PATH"
[ -z "${MIRROR-}" ] || export_variable LKT_DEBIAN_MIRROR "$MIRROR"
version=$("$bin/lkt" version --short)
[ -z "${GITHUB_OUTPUT-}" ] || printf 'version=%s\n' "$version" >>"$GITHUB_OUTPUT"
printf 'lkt %s\n' "$version"
