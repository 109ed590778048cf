#!/bin/busybox sh
# The initial RAM disk: finds the root file system and the data volume, and hands over to /sbin/init.
# Root: the partition named flowlift-root, else a whole disk that starts as a squashfs does.
# Data: a whole disk with an ext4 file system labelled flowlift-data, else the partition of that name.
export PATH=/bin
say() { echo "flowlift: $*" > /dev/console; }
fail() {
  say "$*; the machine stops in 10 seconds"
  sleep 10
  poweroff -f
}

mount -t devtmpfs -o mode=0755,nosuid dev /dev
mount -t proc -o nosuid,nodev,noexec proc /proc
mount -t sysfs -o nosuid,nodev,noexec sys /sys
mount -t tmpfs -o mode=0755,nosuid,nodev,size=16m run /run

# $1: names a list of modules, each after those that it needs
load() { while read -r file; do insmod "/modules/$file" 2>/dev/null; done < "/modules/$1"; }

# $1: name of a partition. Only words of the shell itself: each program costs time under emulation.
partition() {
  for entry in /sys/class/block/*/uevent; do
    while read -r line; do
      [ "$line" = "PARTNAME=$1" ] || continue
      entry=${entry%/uevent}
      found=/dev/${entry##*/}
      return 0
    done < "$entry"
  done
  return 1
}

# Calls $1 with each whole disk until it holds; disks with partitions are not looked at.
disk_that() {
  for entry in /sys/block/*; do
    name=${entry##*/}
    case "$name" in loop* | ram* | sr* | fd* | zram*) continue ;; esac
    [ -e "$entry/${name}1" ] || [ -e "$entry/${name}p1" ] && continue
    found=/dev/$name
    "$1" && return 0
  done
  return 1
}

is_squashfs() { read -r -n 4 magic < "$found" && [ "$magic" = hsqs ]; }
# Superblock of ext4: the label lies at 1024 + 120.
is_data() { [ "$found" != "$root" ] && [ "$(dd if="$found" bs=8 skip=143 count=2 2>/dev/null | tr -d '\000')" = flowlift-data ]; }

find_root() { { partition flowlift-root || disk_that is_squashfs; } && root=$found; }

load early
if ! find_root; then
  load late
  tries=0
  until find_root; do
    tries=$((tries + 1))
    [ "$tries" -lt 100 ] || fail 'no disk with the root file system appeared'
    sleep 0.1
  done
fi

mkdir -p /image /ram /root
mount -t squashfs -o ro,nodev "$root" /image || fail "$root cannot be mounted"
mount -t tmpfs -o mode=0755,nosuid,nodev,size=25% ram /ram
mkdir /ram/upper /ram/work
chmod 0755 /ram/upper
lower=/image/base
for layer in /image/app; do [ -d "$layer" ] && lower=$layer:$lower; done
mount -t overlay -o "lowerdir=$lower,upperdir=/ram/upper,workdir=/ram/work" overlay /root ||
  fail 'the overlay cannot be mounted'

# Mounting is left to the init: it checks the volume first.
data=''
if disk_that is_data || partition flowlift-data; then data=$found; fi
mkdir -p /run/flowlift
echo "$data" > /run/flowlift/data-device

for place in dev proc sys run; do mount -o move "/$place" "/root/$place"; done
exec switch_root /root /sbin/init
