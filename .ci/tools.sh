# Sourced by the scripts of this folder: where tools live, and how a missing one is installed.

tools=${MIDGE_CI_TOOLS:-$PWD/target/ci-tools}
mkdir -p "$tools/bin"
tools=$(cd "$tools" && pwd)
# System daemons such as nats-server live in sbin, which not every user's PATH holds.
PATH=$PATH:/usr/sbin:$HOME/.cargo/bin

# need COMMAND PACKAGE: installs the system package if there is no such command.
need() {
    command -v "$1" >/dev/null || install_package "$2"
}

install_package() {
    local root=()
    [ "$(id -u)" = 0 ] || root=(sudo)
    # The package lists of a fresh machine may be missing or old; that alone is no reason to fail.
    "${root[@]}" apt-get update -qq || true
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$1"
}

# need_go COMMAND MODULE@VERSION: a Go program in the tools folder.
need_go() {
    [ -x "$tools/bin/$1" ] && return
    need go golang-go
    echo "installing $2"
    GOBIN=$tools/bin go install "$2"
}

# need_go_if_served COMMAND MODULE@VERSION: as need_go, of a program that not every module proxy serves.
# Where it cannot be downloaded, the status is that of `not_to_be_had`.
not_to_be_had=69
need_go_if_served() {
    local log
    log=$(need_go "$@" 2>&1) && return
    printf '%s\n' "$log"
    grep -Eq ' (403 Forbidden|404 Not Found|410 Gone)$' <<<"$log" || return 1
    return "$not_to_be_had"
}
