#!/bin/sh
# Runs a command in a mount namespace in which every Vulkan loader and driver of the system is hidden, to prove that
# nothing but npm packages is needed. Needs Linux and root (a mount namespace).
#   scripts/without-vulkan.sh npm test
set -eu

if [ "$#" -eq 0 ]; then
  echo "usage: $0 command [argument...]" >&2
  exit 2
fi
if [ "$(id -u)" -ne 0 ]; then
  echo "$0: needs root, to make a mount namespace" >&2
  exit 2
fi
if [ "${WITHOUT_VULKAN_INSIDE:-}" != 1 ]; then
  WITHOUT_VULKAN_INSIDE=1 exec unshare --mount --propagation private "$0" "$@"
fi

unset WITHOUT_VULKAN_INSIDE VK_ICD_FILENAMES VK_DRIVER_FILES VK_ADD_DRIVER_FILES LD_LIBRARY_PATH
hidden=0
# Loaders are hidden behind an empty file, which the dynamic linker refuses; manifest folders behind an empty folder.
for file in $(find -L /lib /lib64 /usr/lib /usr/lib64 /usr/local /opt -maxdepth 6 -name 'libvulkan.so*' 2>/dev/null); do
  mount --bind /dev/null "$file" && hidden=$((hidden + 1))
done
empty=$(mktemp -d)
for folder in /etc/vulkan /usr/share/vulkan /usr/local/share/vulkan /usr/local/nvidia "${HOME:-/root}/.local/share/vulkan"; do
  if [ -d "$folder" ]; then mount --bind "$empty" "$folder" && hidden=$((hidden + 1)); fi
done
echo "$0: $hidden system Vulkan files and folders hidden" >&2
"$@" && status=0 || status=$?
rmdir "$empty" 2>/dev/null || true
exit "$status"
