/**
 * @file Compute pipelines, made once per final shader text and layout. Layouts are explicit, because `layout: "auto"`
 * makes bind groups of equal pipelines incompatible and compiles anew on every call (measured on SwiftShader: 15 ms
 * against 0.05 ms).
 */

import { EngineError } from "../errors.ts";
import { messageOf, type Faults } from "./faults.ts";
import type { KernelBinding, KernelSource } from "./kernel-source.ts";
import { STAGE_COMPUTE } from "./usage.ts";

/** A compiled kernel. */
export interface Pipeline {
  readonly pipeline: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
  readonly source: KernelSource;
}

/** The pipelines of one device. */
export class PipelineCache {
  readonly #device: GPUDevice;
  readonly #faults: Faults;
  readonly #pipelines = new Map<string, Promise<Pipeline>>();
  readonly #layouts = new Map<string, GPUBindGroupLayout>();
  #created = 0;

  constructor(device: GPUDevice, faults: Faults) {
    this.#device = device;
    this.#faults = faults;
  }

  /** How many pipelines were compiled so far. */
  get created(): number {
    return this.#created;
  }

  /** The pipeline of a kernel. Concurrent calls for the same text share one compilation; a failure is not kept. */
  async get(source: KernelSource): Promise<Pipeline> {
    const key = `${layoutKey(source.bindings)}\n${source.code}`;
    const known = this.#pipelines.get(key);
    if (known !== undefined) return known;
    const made = this.#compile(source);
    this.#pipelines.set(key, made);
    made.catch(() => this.#pipelines.delete(key));
    return made;
  }

  async #compile(source: KernelSource): Promise<Pipeline> {
    checkBindings(source, this.#device.limits);
    checkWorkgroup(source, this.#device.limits);
    // Scopes are a stack per device: they are opened and closed without an await between, or concurrent compilations
    // would take one another's errors.
    this.#device.pushErrorScope("validation");
    const module = this.#device.createShaderModule({ label: source.label, code: source.code });
    const moduleError = this.#device.popErrorScope();
    try {
      const [error, info] = await Promise.all([moduleError, module.getCompilationInfo()]);
      const messages = info.messages.filter((message) => message.type === "error");
      if (messages.length > 0) throw compileError(source, messages);
      if (error !== null)
        throw new EngineError("COMPILE", `kernel ${source.label} does not compile: ${error.message}`, {
          where: source.label,
        });
      const layout = this.#layout(source.bindings);
      const pipeline = await this.#device.createComputePipelineAsync({
        label: source.label,
        layout: this.#device.createPipelineLayout({ label: source.label, bindGroupLayouts: [layout] }),
        compute: { module, entryPoint: "main" },
      });
      this.#created += 1;
      this.#faults.check();
      return { pipeline, layout, source };
    } catch (cause) {
      if (cause instanceof EngineError) throw cause;
      const fault = await this.#faults.explain(cause, "compiling");
      if (fault.code !== "VALIDATION") throw fault;
      throw new EngineError("COMPILE", `kernel ${source.label} makes no pipeline: ${messageOf(cause)}`, {
        where: source.label,
        fix: "choose a variant that fits the device; gpu.info.limits lists what it has",
        cause,
      });
    }
  }

  #layout(bindings: readonly KernelBinding[]): GPUBindGroupLayout {
    const key = layoutKey(bindings);
    const known = this.#layouts.get(key);
    if (known !== undefined) return known;
    const layout = this.#device.createBindGroupLayout({
      label: key,
      entries: bindings.map(({ binding, kind }) => ({ binding, visibility: STAGE_COMPUTE, buffer: { type: kind } })),
    });
    this.#layouts.set(key, layout);
    return layout;
  }
}

function layoutKey(bindings: readonly KernelBinding[]): string {
  return bindings.map(({ binding, kind }) => `${binding}:${kind}`).join(" ");
}

function checkBindings(source: KernelSource, limits: GPUSupportedLimits): void {
  const storage = source.bindings.filter(({ kind }) => kind !== "uniform").length;
  const most = limits.maxStorageBuffersPerShaderStage;
  if (storage > most) {
    throw new EngineError(
      "LIMIT",
      `kernel ${source.label} binds ${storage} storage buffers; maxStorageBuffersPerShaderStage is ${most}`,
      {
        where: source.label,
        fix: "choose a variant with fewer buffers, or open the device with a higher limit",
      },
    );
  }
}

/** Checks `@workgroup_size(…)` as far as its arguments are literals or constants with literal values. */
function checkWorkgroup(source: KernelSource, limits: GPUSupportedLimits): void {
  const written = /^@compute @workgroup_size\(([^)]*)\)/m.exec(source.code)?.[1] ?? "";
  const sizes = written.split(",").map((word) => {
    const name = word.trim();
    if (!/^\w+$/.test(name)) return 1;
    const value = /^\d/.test(name)
      ? name
      : new RegExp(`^const ${name}\\b[^=]*=\\s*(\\d+)[ui]?;`, "m").exec(source.code)?.[1];
    return value === undefined ? 1 : Number.parseInt(value, 10);
  });
  const invocations = sizes.reduce((product, size) => product * size, 1);
  const most = limits.maxComputeInvocationsPerWorkgroup;
  if (invocations > most) {
    throw new EngineError(
      "LIMIT",
      `kernel ${source.label} has ${invocations} invocations a workgroup; maxComputeInvocationsPerWorkgroup is ${most}`,
      {
        where: source.label,
        fix: "choose a variant with a smaller workgroup",
      },
    );
  }
}

/** The error of a shader that does not compile: every message with its place, the first with the text around it. */
function compileError(source: KernelSource, messages: readonly GPUCompilationMessage[]): EngineError {
  const lines = source.code.split("\n");
  const first = messages[0] as GPUCompilationMessage;
  const listed = messages.map(
    (message) => `${source.label}.wgsl:${message.lineNum}:${message.linePos}: ${message.message}`,
  );
  return new EngineError("COMPILE", `${listed.join("\n")}\n${excerpt(lines, first.lineNum, first.linePos)}`, {
    where: `${source.label}.wgsl:${first.lineNum}:${first.linePos}`,
    fix: "line numbers count in the final text: the kernel with its parameters set, then its libraries",
  });
}

/** Three lines of source with a caret under the place. Lines and columns count from 1; 0 means unknown. */
function excerpt(lines: readonly string[], line: number, column: number): string {
  if (line < 1) return "";
  const width = String(line + 1).length;
  const shown: string[] = [];
  for (let number = Math.max(1, line - 1); number <= Math.min(lines.length, line + 1); number += 1) {
    shown.push(`${String(number).padStart(width)} | ${lines[number - 1] ?? ""}`);
    if (number === line) shown.push(`${" ".repeat(width)} | ${" ".repeat(Math.max(0, column - 1))}^`);
  }
  return shown.join("\n");
}
