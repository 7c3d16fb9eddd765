#!/bin/sh
# Proves the first screen of the README: clones this repository into an empty folder, hides every Vulkan loader and driver
# of the system, and runs the two commands of a newcomer. Commits count, uncommitted changes do not. Linux, root.
#   scripts/fresh-clone.sh [start|test|both]
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
part=${1:-both}
case "$part" in
  start | test | both) ;;
  *)
    echo "usage: $0 [start|test|both]" >&2
    exit 2
    ;;
esac

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
clone="$folder/clone"
git clone --quiet --no-hardlinks "$root" "$clone"
cd "$clone"
# An empty home: no cache of the software adapter, no settings of npm, nothing but the clone and the registry.
HOME="$folder/home"
export HOME
mkdir "$HOME"
unset XDG_CACHE_HOME NODE_PATH NODE_OPTIONS
echo "clone of $(git rev-parse HEAD), node $(node --version), npm $(npm --version)"

newcomer() {
  rm -rf "$clone/node_modules" "$clone/dist"
  started=$(date +%s)
  "$root/scripts/without-vulkan.sh" sh -c "npm ci && npm $1" > "$folder/$1.log" 2>&1 && status=0 || status=$?
  echo "== npm ci && npm $1: exit $status after $(($(date +%s) - started)) s, last lines:"
  tail -n 25 "$folder/$1.log"
  if grep -n '^npm error' "$folder/$1.log"; then status=1; fi
  if [ "$status" -ne 0 ]; then exit "$status"; fi
}

if [ "$part" != test ]; then newcomer start; fi
if [ "$part" != start ]; then newcomer test; fi
if [ -n "$(git status --porcelain)" ]; then
  echo "the commands changed files that git tracks, or left some that it does not ignore:" >&2
  git status --short >&2
  exit 1
fi
echo "fresh clone: passed"
