/**
 * @file The software adapter: SwiftShader and a Vulkan loader, as the npm package `@sparticuz/chromium` carries them,
 * unpacked once per user into a cache folder. Nothing is written into node_modules.
 */

import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { brotliDecompress } from "node:zlib";
import { untar } from "./untar.ts";

/** Where the unpacked files lie. */
export interface SoftwareDriver {
  /** The Vulkan driver manifest. */
  readonly manifest: string;
  /** A Vulkan loader, for machines that have none. */
  readonly loader: string;
}

/** The npm package that carries the driver. */
export const SOFTWARE_PACKAGE = "@sparticuz/chromium";

const ARCHIVE = "bin/swiftshader.tar.br";
const DRIVER = "libvk_swiftshader.so";
const LOADER = "libvulkan.so.1";
const MANIFEST = "swiftshader.json";

/** Unpacks the bundled software driver, or finds it unpacked; null where it is not installed or not for this machine. */
export async function softwareDriver(): Promise<SoftwareDriver | null> {
  // The archive holds x86-64 ELF libraries.
  if (process.platform !== "linux" || process.arch !== "x64") return null;
  const archive = findArchive();
  if (archive === null) return null;
  const bytes = await readFile(archive);
  const folder = join(
    await cacheFolder(),
    `swiftshader-${createHash("sha256").update(bytes).digest("hex").slice(0, 16)}`,
  );
  if (!existsSync(join(folder, MANIFEST))) await unpack(bytes, folder);
  return { manifest: join(folder, MANIFEST), loader: join(folder, LOADER) };
}

/** The archive in the nearest node_modules, seen from this package and then from the working directory. */
function findArchive(): string | null {
  for (const base of [import.meta.url, join(process.cwd(), "package.json")]) {
    for (const folder of createRequire(base).resolve.paths(SOFTWARE_PACKAGE) ?? []) {
      const candidate = join(folder, SOFTWARE_PACKAGE, ARCHIVE);
      if (existsSync(candidate)) return candidate;
    }
  }
  return null;
}

/**
 * A folder that belongs to this user alone: libraries are loaded from it, so a folder that others may write to is
 * passed over, and a private one of this process serves where nothing else does.
 */
async function cacheFolder(): Promise<string> {
  // `os.homedir` and `os.userInfo` throw for the nameless users that containers run as.
  const { HOME: home, XDG_CACHE_HOME: xdg } = process.env;
  const owner = process.getuid?.();
  const candidates = [join(tmpdir(), `adapters-webgpu-${owner}`)];
  if (xdg?.startsWith("/") === true) candidates.unshift(join(xdg, "adapters-webgpu"));
  else if (home?.startsWith("/") === true) candidates.unshift(join(home, ".cache", "adapters-webgpu"));
  for (const folder of candidates) {
    try {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      const { uid, mode } = await stat(folder);
      if (uid !== owner || (mode & 0o022) !== 0) continue;
      const probe = await mkdtemp(join(folder, "probe-"));
      await rm(probe, { recursive: true });
      return folder;
    } catch {
      // Read-only home folders are common in containers; the next candidate serves.
    }
  }
  return mkdtemp(join(tmpdir(), "adapters-webgpu-"));
}

/** Writes all files beside the target and renames the folder, so that a concurrent process sees all of them or none. */
async function unpack(bytes: Uint8Array, folder: string): Promise<void> {
  const files = untar(await promisify(brotliDecompress)(bytes));
  const fresh = await mkdtemp(join(dirname(folder), "unpack-"));
  try {
    for (const name of [DRIVER, LOADER]) {
      const data = files.get(name);
      if (data === undefined) throw new Error(`${SOFTWARE_PACKAGE} holds no ${name}`);
      await writeFile(join(fresh, name), data, { mode: 0o755 });
    }
    const manifest = {
      file_format_version: "1.0.0",
      ICD: { library_path: join(folder, DRIVER), api_version: "1.1.0" },
    };
    await writeFile(join(fresh, MANIFEST), JSON.stringify(manifest));
    await rename(fresh, folder);
  } catch (error) {
    await rm(fresh, { recursive: true, force: true });
    // Another process was first: its folder has the same content, for the name is a hash of it.
    if (!existsSync(join(folder, MANIFEST))) throw error;
  }
}
