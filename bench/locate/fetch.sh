#!/bin/sh
# Download Debian source packages for debian_fixes.py, without touching the machine's own package lists.
# usage: bench/locate/fetch.sh FOLDER [PACKAGE...]     needs a Debian machine with a deb822 source list
set -eu
folder=$1; shift
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
[ $# -gt 0 ] || set -- containerd curl docker.io glib2.0 golang-1.19 jackson-databind lemonldap-ng \
  libspring-java libxml2 mediawiki netty node-undici openssh symfony tomcat9 wordpress
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/parts" "$work/lists/partial" "$work/cache/archives/partial"
for list in /etc/apt/sources.list.d/*.sources; do
  sed 's/^Types: deb$/Types: deb-src/' "$list" > "$work/parts/$(basename "$list")"
done
cat > "$work/apt.conf" <<CONF
Dir::Etc::sourcelist "/dev/null";
Dir::Etc::sourceparts "$work/parts";
Dir::State::lists "$work/lists";
Dir::Cache "$work/cache";
APT::Sandbox::User "root";
CONF
export APT_CONFIG="$work/apt.conf"
apt-get update -qq
cd "$folder"
for package; do
  apt-get source --download-only -qq "$package" || echo "left out: $package" >&2
done
