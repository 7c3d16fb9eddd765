/** @file Folders of files, wherever they are: a URL, or files that a user picked. Paths of Node are in `src/node/folder.ts`. */

import { EngineError } from "../errors.ts";

/** A place with named files. Names may have sub-folders, with `/`. */
export interface Folder {
  /** The place, for errors. */
  readonly name: string;
  /** Names of the files that are there; from a URL, those of the well-known names that are. */
  list(): Promise<string[]>;
  /** @throws EngineError `NOT_FOUND`, listing what is there. */
  read(name: string): Promise<Uint8Array>;
  has(name: string): Promise<boolean>;
}

/** What a web server is asked for when somebody wants a listing, which HTTP has not. */
const wellKnownFiles: readonly string[] = [
  "config.json",
  "model.safetensors",
  "model.safetensors.index.json",
  "pytorch_model.bin",
  "pytorch_model.bin.index.json",
  "tokenizer.json",
  "tokenizer_config.json",
  "special_tokens_map.json",
  "vocab.txt",
  "vocab.json",
  "merges.txt",
  "preprocessor_config.json",
  "adapter_config.json",
  "pytorch_adapter.bin",
  "adapter.safetensors",
  "adapter_model.safetensors",
  "adapter_model.bin",
  "head_config.json",
  "pytorch_model_head.bin",
  "model_head.safetensors",
  "adapter_fusion_config.json",
  "pytorch_model_adapter_fusion.bin",
  "model_adapter_fusion.safetensors",
  "adapter_setup.json",
];

/**
 * The error of a missing file, with what was there instead.
 * @param present the files of the folder.
 */
export function notFound(folder: string, name: string, present: readonly string[], cause?: unknown): EngineError {
  const shown = present.slice(0, 20).join(", ") + (present.length > 20 ? `, and ${present.length - 20} more` : "");
  return new EngineError("NOT_FOUND", `${folder} has no file ${JSON.stringify(name)}. There: ${shown || "nothing"}.`, {
    fix: "Check the folder and the name.",
    where: `${folder}/${name}`,
    cause,
  });
}

/**
 * Refuses names that would leave the folder: they may come from an untrusted index file.
 * @throws EngineError `BAD_FILE`
 */
export function checkFileName(folder: string, name: string): void {
  const parts = name.split("/");
  if (parts.some((part) => part === "" || part === "." || part === "..") || /[\\:]/.test(name) || name.includes("\0")) {
    throw new EngineError("BAD_FILE", `${JSON.stringify(name)} is not the name of a file inside ${folder}.`, {
      fix: "Use a plain file name, with / for sub-folders.",
      where: folder,
    });
  }
}

/**
 * A folder on a web server. A page of HTML in place of a file counts as missing: many servers answer so.
 * @param fetcher stands in for the global `fetch`, to add headers or a cache.
 * @example
 * const model = await loadModel(gpu, folderFromUrl("https://example.org/models/bert/"));
 */
export function folderFromUrl(url: string | URL, fetcher: typeof fetch = fetch): Folder {
  return new UrlFolder(String(url).replace(/\/*$/, "/"), fetcher);
}

/**
 * A folder of files that a user picked (`<input type="file" multiple>` or `webkitdirectory`); the common top folder that
 * the browser puts before the names is dropped.
 */
export function folderFromFiles(files: readonly File[]): Folder {
  return new FileFolder(files);
}

class UrlFolder implements Folder {
  readonly name: string;
  private readonly fetcher: typeof fetch;

  constructor(name: string, fetcher: typeof fetch) {
    this.name = name;
    this.fetcher = fetcher;
  }

  async list(): Promise<string[]> {
    const present = await Promise.all(wellKnownFiles.map((name) => this.has(name)));
    return wellKnownFiles.filter((_, index) => present[index]);
  }

  async has(name: string): Promise<boolean> {
    const head = await this.request(name, "HEAD");
    if (head.status !== 405 && head.status !== 501) return holdsFile(head, name);
    // The server knows no HEAD: ask for the file and leave its body.
    const response = await this.request(name, "GET");
    await response.body?.cancel();
    return holdsFile(response, name);
  }

  async read(name: string): Promise<Uint8Array> {
    const response = await this.request(name, "GET");
    if (!holdsFile(response, name)) {
      await response.body?.cancel();
      if (!response.ok && response.status !== 404 && response.status !== 410)
        throw this.failed(name, `HTTP ${response.status}`);
      throw notFound(this.name, name, await this.list());
    }
    try {
      return new Uint8Array(await response.arrayBuffer());
    } catch (cause) {
      throw this.failed(name, "the download broke off", cause);
    }
  }

  private async request(name: string, method: "GET" | "HEAD"): Promise<Response> {
    checkFileName(this.name, name);
    // Called as a plain function: a browser's fetch refuses any receiver but the window.
    const { fetcher } = this;
    try {
      return await fetcher(this.name + name.split("/").map(encodeURIComponent).join("/"), { method });
    } catch (cause) {
      throw this.failed(name, "the server cannot be reached", cause);
    }
  }

  private failed(name: string, problem: string, cause?: unknown): EngineError {
    return new EngineError("NOT_FOUND", `${this.name}${name} cannot be read: ${problem}.`, {
      fix: "Check the address, the connection, and that the server allows this origin.",
      where: this.name + name,
      cause,
    });
  }
}

function holdsFile(response: Response, name: string): boolean {
  const html = (response.headers.get("content-type") ?? "").startsWith("text/html");
  return response.ok && (!html || /\.html?$/.test(name));
}

class FileFolder implements Folder {
  readonly name: string;
  private readonly files: Map<string, File> = new Map();

  constructor(files: readonly File[]) {
    const paths = files.map((file) => file.webkitRelativePath || file.name);
    const tops = new Set(paths.map((path) => path.slice(0, path.indexOf("/") + 1)));
    const top = tops.size === 1 ? ([...tops][0] as string) : "";
    this.name = top === "" ? "the chosen files" : top.slice(0, -1);
    for (const [index, file] of files.entries()) {
      const name = (paths[index] as string).slice(top.length);
      if (this.files.has(name)) {
        throw new EngineError("BAD_INPUT", `Two of the chosen files are called ${JSON.stringify(name)}.`, {
          fix: "Choose one folder.",
          where: name,
        });
      }
      this.files.set(name, file);
    }
  }

  async list(): Promise<string[]> {
    return [...this.files.keys()].sort();
  }

  async has(name: string): Promise<boolean> {
    return this.files.has(name);
  }

  async read(name: string): Promise<Uint8Array> {
    const file = this.files.get(name);
    if (file === undefined) throw notFound(this.name, name, await this.list());
    try {
      return new Uint8Array(await file.arrayBuffer());
    } catch (cause) {
      // The user moved or changed the file after choosing it.
      throw notFound(this.name, name, await this.list(), cause);
    }
  }
}
