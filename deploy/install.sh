# Installs what a step needs on a Debian or Ubuntu machine. Sourced by deploy/start and deploy/test; does nothing where all is there.

say() { printf '\033[1m==>\033[0m %s\n' "$*" >&2; }
fail() { printf 'error: %s\n' "$*" >&2; exit 1; }

# as_root COMMAND...: with sudo where we are not root.
as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"
  elif command -v sudo >/dev/null; then sudo "$@"
  else fail "need root to run: $* (run it yourself, then start again)"
  fi
}

# need_packages NAME...: Debian packages, only those that are missing.
need_packages() {
  local missing=() name
  for name in "$@"; do
    dpkg-query -W -f='${Status}' "$name" 2>/dev/null | grep -q 'ok installed' || missing+=("$name")
  done
  [ ${#missing[@]} = 0 ] && return
  command -v apt-get >/dev/null || fail "this machine has no apt-get; install the equivalents of: ${missing[*]}"
  say "installing packages: ${missing[*]}"
  as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# need_command COMMAND PACKAGE: the package, unless the command is there from somewhere else (a newer node, another JDK).
need_command() {
  command -v "$1" >/dev/null || need_packages "$2"
}

# What the build and the embedded stores need: a C toolchain and headers for librdkafka, Postgres, npm for the ClickHouse engine.
need_build_packages() {
  need_packages build-essential pkg-config zlib1g-dev libssl-dev ca-certificates postgresql
  need_command curl curl
  need_command npm npm
}

# Rust at least as new as Cargo.toml's rust-version, with rustfmt and clippy.
need_rust() {
  local wanted have
  wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
  [ -x "$HOME/.cargo/bin/cargo" ] && PATH="$HOME/.cargo/bin:$PATH"
  have=$(cargo --version 2>/dev/null | sed -n 's/^cargo \([0-9.]*\).*/\1/p')
  if [ -n "$have" ] && [ "$(printf '%s\n%s\n' "$wanted" "$have" | sort -V | head -n1)" = "$wanted" ]; then return; fi
  say "installing Rust (need $wanted or newer, found ${have:-none})"
  if apt-cache show rustup >/dev/null 2>&1; then
    need_packages rustup
    rustup toolchain install stable --profile minimal -c rustfmt -c clippy >/dev/null \
      || fail "rustup could not install Rust; install Rust $wanted or newer and start again"
    rustup default stable >/dev/null
  else
    curl -fsS --proto '=https' --tlsv1.2 https://sh.rustup.rs | sh -s -- -y -q --profile minimal -c rustfmt -c clippy \
      || fail "Rust could not be installed by rustup; install Rust $wanted or newer (https://www.rust-lang.org/tools/install) and start again"
    PATH="$HOME/.cargo/bin:$PATH"
  fi
  export PATH
}
