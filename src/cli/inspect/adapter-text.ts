/** @file The findings of `inspect adapter` for people. */

import { F32 } from "./adapter-facts.ts";
import type { AdapterFacts } from "./adapter-facts.ts";
import { formatLayers, sitesOf } from "./adapter-methods.ts";
import { formatBytes, formatCount, formatFacts, formatPercent } from "../text.ts";

/** Fields of a configuration that say something, as `name value`. */
function fieldsText(config: Readonly<Record<string, unknown>>): string {
  const set = Object.entries(config).filter(([name, value]) => {
    const empty = Array.isArray(value) && value.length === 0;
    return name !== "configs" && name !== "modules" && value !== null && value !== false && !empty;
  });
  return set.map(([name, value]) => `${name} ${typeof value === "string" ? value : JSON.stringify(value)}`).join(", ");
}

function configurationFacts({ stored: { config } }: AdapterFacts): [string, string][] {
  const methods = (config["configs"] ?? [config]) as readonly Readonly<Record<string, unknown>>[];
  return methods.map((method) => ["configuration", fieldsText(method)]);
}

function siteFacts({ stored, shape }: AdapterFacts): [string, string][] {
  if (shape === null) return [];
  const { groups, embedding } = sitesOf(stored, shape.layers);
  return [
    ...groups.map(({ layers, sites }): [string, string] => [
      "sites",
      `layers ${formatLayers(layers)}: ${sites.join(", ") || "none"}`,
    ]),
    ...embedding.map((kind): [string, string] => ["sites", `embedding: ${kind}`]),
  ];
}

function sizeFacts({ stored, parameters, gpuBytes, full }: AdapterFacts): [string, string][] {
  const { tensors, bytes } = stored;
  const ratio = (own: number): string =>
    full === null ? "" : `, 1 / ${((F32 * full.parameters) / own).toPrecision(3)} of the full model in f32`;
  const share = full === null ? "" : `, ${formatPercent(parameters / full.parameters)} of the full model's`;
  return [
    ["tensors", `${tensors.size}, ${formatCount(parameters)} parameters${share}`],
    ["on disk", `${formatBytes(bytes)}${ratio(bytes)}`],
    ["on the GPU", gpuBytes === null ? "not known" : `${formatBytes(gpuBytes)}${ratio(gpuBytes)}`],
    [
      "full model",
      full === null
        ? "not known: give --host"
        : `${full.name}, ${formatCount(full.parameters)} parameters, ${formatBytes(F32 * full.parameters)} in f32`,
    ],
  ];
}

function costFacts({ cost: { flopsPerToken, pass } }: AdapterFacts): [string, string][] {
  const text = `${formatCount(flopsPerToken)} FLOP a token`;
  if (pass === null) return [["cost", `${text}: 2 · parameters; with --host it is counted`]];
  const more = flopsPerToken / (pass.without.flops / pass.rows);
  const launches = `${pass.without.launches} launches become ${pass.with.launches}`;
  return [["cost", `${text}, ${formatPercent(more)} on top of the host's (${pass.rows} tokens); ${launches}`]];
}

function companyFacts({ heads, fusions, stored }: AdapterFacts): [string, string][] {
  const { left, unexpected } = stored;
  return [
    ...heads.map(({ folder, type, labels, bytes }): [string, string] => [
      "head",
      `${type}${labels === null ? "" : `, ${labels} labels`}, ${formatBytes(bytes)} in ${folder}`,
    ]),
    ...fusions.map(({ folder, adapters, bytes }): [string, string] => [
      "fusion",
      `of ${adapters.join(", ")}, ${formatBytes(bytes)} in ${folder}`,
    ]),
    ...left.map(({ name, reason }): [string, string] => ["left alone", `${name}: ${reason}`]),
    ...(unexpected.length === 0 ? [] : [["unexpected", unexpected.join(", ")] as [string, string]]),
  ];
}

/** @returns the findings as lines of name and value. */
export function adapterText(facts: AdapterFacts): string {
  const { folder, stored, methods, presets, host, notes } = facts;
  const { format, version, family, hiddenSize, modelName, file, name } = stored;
  const origin = [
    family ?? "a host that is not named",
    hiddenSize === null ? null : `width ${hiddenSize}`,
    modelName || null,
  ];
  const writer = `${format === "hub" ? "AdapterHub" : "PEFT"}${version === null ? "" : ` ${version}`}`;
  return formatFacts([
    ["adapter", `${name ?? "without a name"}, ${folder}/${file} (${writer})`],
    ["made for", origin.filter((part) => part !== null).join(", ")],
    ...methods.map((method): [string, string] => ["method", method]),
    ...(presets.length === 0 ? [] : [["preset", presets.join(" or ")] as [string, string]]),
    ...configurationFacts(facts),
    ...siteFacts(facts),
    ...sizeFacts(facts),
    ...costFacts(facts),
    ...companyFacts(facts),
    ["fits", host === null ? "not checked: give --host" : `${host}`],
    ...notes.map((note): [string, string] => ["note", note]),
  ]);
}
