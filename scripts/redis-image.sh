#!/usr/bin/env bash
# redis-image.sh TAG: an image with the redis-server of this machine, for where no registry can be reached. About 20 MB,
# made in a second; nothing is done when the tag is there already.
set -euo pipefail
tag=${1:?usage: redis-image.sh TAG}
if docker image inspect "$tag" >/dev/null 2>&1; then exit 0; fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root
mkdir -p "$root"/{bin,usr/bin,data,etc,proc,sys,dev,tmp}
chmod 1777 "$root/tmp" "$root/data"

# A program and every library that ldd names, the loader among them.
add() {
  local library
  install -D -m 0755 "$(readlink -f "$1")" "$root$2"
  { ldd "$1" 2>/dev/null || true; } | awk '/=> \//{print $3} $1 ~ /^\//{print $1}' | sort -u | while read -r library; do
    [[ -e $root$library ]] || install -D -m 0755 "$(readlink -f "$library")" "$root$library"
  done
}
add "$(command -v redis-server)" /usr/bin/redis-server
if command -v redis-cli >/dev/null; then add "$(command -v redis-cli)" /usr/bin/redis-cli; fi
add /bin/sh /bin/sh
for name in cat rm mkdir sleep grep; do add "$(command -v "$name")" "/bin/$name"; done
printf 'root:x:0:0:root:/:/bin/sh\n' >"$root/etc/passwd"
printf 'root:x:0:\n' >"$root/etc/group"
printf 'hosts: files dns\n' >"$root/etc/nsswitch.conf"
# Loaded at run time, so ldd does not name them; since glibc 2.34 they are part of libc.
for library in /lib/*-linux-gnu/libnss_{files,dns}.so.2 /lib/*-linux-gnu/libresolv.so.2; do
  [[ ! -e $library ]] || install -D -m 0755 "$(readlink -f "$library")" "$root$library"
done
tar -C "$root" --numeric-owner --owner=0 --group=0 -c . |
  docker import -c 'WORKDIR /data' -c 'ENV PATH=/usr/bin:/bin' -c 'EXPOSE 6379' -c 'CMD ["redis-server"]' - "$tag" >/dev/null
