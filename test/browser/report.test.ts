/** @file The routing report in a real browser: what is drawn, in which colours, how wide, with which keys, and that it asks for nothing. */

import { mkdir, rm, writeFile } from "node:fs/promises";
import { fileURLToPath, pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { renderRoutingReport } from "../../src/routing/report.ts";
import type { RoutingTrace } from "../../src/routing/trace.ts";
import { audioSample, imageSample, textTrace } from "../routing/sample-traces.ts";
import { openPage } from "./devtools.ts";
import type { Page } from "./devtools.ts";
import { readPng } from "./png.ts";

/** Pages and screenshots lie here after the test, to be looked at. */
const FOLDER = fileURLToPath(new URL("../../node_modules/.cache/adapters-webgpu-report-test/", import.meta.url));

const traces: Readonly<Record<string, RoutingTrace>> = {
  text: textTrace(),
  audio: audioSample(),
  image: imageSample(),
};
const names = Object.keys(traces);
const themes = ["light", "dark"] as const;

let page: Page;

const address = (name: string): string => pathToFileURL(`${FOLDER}${name}.html`).href;

beforeAll(async () => {
  await rm(FOLDER, { recursive: true, force: true });
  await mkdir(FOLDER, { recursive: true });
  for (const name of names) await writeFile(`${FOLDER}${name}.html`, renderRoutingReport(traces[name] as RoutingTrace));
  page = await openPage();
}, 120_000);

afterAll(() => page?.close());

async function show(name: string, theme: "light" | "dark", width = 1200): Promise<void> {
  await page.setScreen({ width, height: 900, theme });
  await page.open(address(name));
}

/** Distance of two colours in 0 … 255. */
function distance(a: readonly number[], b: readonly number[]): number {
  return Math.max(...a.map((value, channel) => Math.abs(value - (b[channel] as number))));
}

/** Cells of a kind in every map: those of a path are its horizontal strokes. */
const CELLS = (kind: string): string =>
  `[...document.querySelectorAll(".map")].map((map) => [...map.querySelectorAll(".${kind} path")]
    .reduce((sum, path) => sum + path.getAttribute("d").match(/h\\d+/g).length, 0))`;

describe.each(names)("the report of %s", (name) => {
  const { sequences } = traces[name] as RoutingTrace;

  test("draws every token of every routed layer", async () => {
    await show(name, "light");
    const routed = sequences.map(({ layers }) => layers.filter((layer) => layer !== null));
    const selected = routed.map((layers) => layers.reduce((sum, layer) => sum + layer.selected.length, 0));
    expect(await page.evaluate(CELLS("heavy"))).toEqual(selected);
    // λ below 2 % is not drawn.
    const light = routed.map((layers) =>
      layers.reduce(
        (sum, layer) =>
          sum + layer.weights.filter((weight, place) => weight >= 0.02 && !layer.selected.includes(place)).length,
        0,
      ),
    );
    expect(await page.evaluate(CELLS("light"))).toEqual(light);
    const chips = await page.evaluate<number>('document.querySelectorAll(".tokens li").length');
    expect(chips).toBe(sequences.reduce((sum, { tokens }) => sum + tokens.length, 0));
  });

  test.each(themes)("tells selected tokens from others by their colour: %s", async (theme) => {
    await show(name, theme);
    const picture = readPng(await page.screenshot());
    await writeFile(`${FOLDER}${name}-${theme}.png`, await page.screenshot());
    const place = await page.evaluate<{ x: number; y: number; cell: number; row: number }>(`(() => {
      const map = document.querySelector(".map"), box = map.getBoundingClientRect();
      const row = Number(map.querySelector(".heavy").getAttribute("stroke-width")) + 1;
      const first = map.querySelector(".field").getBBox();
      const cell = Number(map.dataset.cell);
      return { x: box.x + scrollX + first.x + (cell - 1) / 2, y: box.y + scrollY, cell, row };
    })()`);
    const top = await page.evaluate<number>(
      `Number(document.querySelector(".map .field").getAttribute("d").match(/^M\\d+ ([\\d.]+)/)[1])`,
    );
    const layers = sequences[0]?.layers ?? [];
    const first = layers.findIndex((layer) => layer !== null);
    layers.forEach((layer, index) => {
      if (layer === null) return;
      const y = place.y + top + (index - first) * place.row;
      const color = (token: number): readonly number[] => picture.at(place.x + token * place.cell, y);
      const others = layer.weights.map((_, token) => token).filter((token) => !layer.selected.includes(token));
      // Ten cells of a layer, each against one that took the other path.
      others.slice(0, 10).forEach((token, i) => {
        const heavy = layer.selected[i % layer.selected.length] as number;
        expect(distance(color(token), color(heavy)), `${theme}, layer ${index}, ${token} and ${heavy}`).toBeGreaterThan(
          40,
        );
      });
    });
  });

  test.each(themes)("has a page of the theme that the reader prefers, or chooses: %s", async (theme) => {
    const other = theme === "light" ? "dark" : "light";
    const paper = async (): Promise<number> => readPng(await page.screenshot(".over")).at(0, 0)[0];
    const expected = { light: 252, dark: 20 };
    await show(name, theme);
    expect(await paper()).toBe(expected[theme]);
    await page.point(`label:has(#theme-${other})`, true);
    expect(await paper()).toBe(expected[other]);
  });

  test.each([1200, 390, 320])("fits a screen of %i pixels", async (width) => {
    for (const theme of themes) {
      await show(name, theme, width);
      expect(await page.evaluate("document.documentElement.scrollWidth")).toBe(width);
      if (width === 390) await writeFile(`${FOLDER}${name}-${theme}-${width}.png`, await page.screenshot());
    }
  });

  test("has no text over other text, and none outside its drawing", async () => {
    await show(name, "light");
    const faults = await page.evaluate<string[]>(`[...document.querySelectorAll("svg")].flatMap((svg) => {
      const frame = svg.getBoundingClientRect();
      const texts = [...svg.querySelectorAll("text")].map((text) => [text.textContent, text.getBoundingClientRect()]);
      const out = texts.filter(([, box]) => box.left < frame.left - 1 || box.right > frame.right + 1 || box.top < frame.top - 1 || box.bottom > frame.bottom + 1);
      const over = texts.flatMap(([a, one], i) => texts.slice(i + 1).filter(([, two]) =>
        Math.min(one.right, two.right) - Math.max(one.left, two.left) > 3 && Math.min(one.bottom, two.bottom) - Math.max(one.top, two.top) > 3)
        .map(([b]) => a + " over " + b));
      return [...out.map(([text]) => text + " outside"), ...over];
    })`);
    expect(faults).toEqual([]);
  });

  test("names every drawing and region, and keeps headings in order", async () => {
    await show(name, "light");
    const nameless = await page.evaluate<number>(
      `[...document.querySelectorAll("[role=img], [role=region], article, ol")].filter((one) => !one.getAttribute("aria-label")).length`,
    );
    expect(nameless).toBe(0);
    const levels = await page.evaluate<string[]>(
      `[...document.querySelectorAll("h1, h2, h3")].map(({ tagName }) => tagName)`,
    );
    expect(levels).toEqual(["H1", ...levels.slice(1).map(() => "H2")]);
    const clipped = `[...document.querySelectorAll(".scroll")].filter((one) => one.scrollWidth > one.clientWidth && one.tabIndex !== 0).length`;
    expect(await page.evaluate(clipped)).toBe(0);
  });

  test("is walked with the keys, and follows the pointer", async () => {
    await show(name, "light");
    await page.evaluate(`document.querySelector(".tokens li").focus()`);
    const state = (): Promise<[string, string, string]> =>
      page.evaluate(`(() => { const article = document.querySelector("article"); return [article.querySelector(".readout").textContent,
        article.querySelector(".cursor").getAttribute("x"), document.activeElement.getAttribute("aria-label")]; })()`);
    const [before] = await state();
    expect(before).toMatch(/^0 · /);
    await page.press("ArrowRight");
    const [after, cursor, label] = await state();
    expect(after).toMatch(/^1 · /);
    expect(label).toBe(after);
    await page.press("End");
    expect((await state())[0]).toMatch(new RegExp(`^${(sequences[0]?.tokens.length ?? 0) - 1} · `));
    await page.point(".tokens li:nth-child(2)");
    expect((await state()).slice(0, 2)).toEqual([after, cursor]);
    await page.press("Tab");
    // The next stop is the map, not the next token: a list of tokens is one stop.
    expect(await page.evaluate("document.activeElement.className")).toBe("scroll");
  });

  test("reads the same without scripts, and its theme can still be chosen", async () => {
    await show(name, "light");
    const text = `document.querySelector("main").innerText.replace(/Point at a token[^\\n]*/g, "").replace(/\\s+/g, " ")`;
    const complete = await page.evaluate(text);
    await page.setScripts(false);
    try {
      await show(name, "light");
      expect(await page.evaluate(text)).toBe(complete);
      expect(await page.evaluate(`document.querySelector(".tokens li").title`)).toMatch(/^0 · /);
      await page.point("label:has(#theme-dark)", true);
      expect(readPng(await page.screenshot(".over")).at(0, 0)[0]).toBe(20);
    } finally {
      await page.setScripts(true);
    }
  });
});

test("draws a point per run of the sweep, in as many colours as there are lines", async () => {
  await show("text", "dark");
  const { curve = [] } = traces["text"] as RoutingTrace;
  const circles = await page.evaluate<number[]>(
    `[...document.querySelectorAll(".chart")].map((chart) => chart.querySelectorAll("circle").length)`,
  );
  expect(circles).toEqual([curve.length, curve.length]);
  const colors = await page.evaluate<string[]>(
    `[...document.querySelectorAll(".chart")[0].querySelectorAll(".series path")].map((path) => getComputedStyle(path).stroke)`,
  );
  expect(new Set(colors).size).toBe(8);
});

test("decodes and draws the pictures", async () => {
  await show("image", "light");
  const box = await page.evaluate<{ width: number; height: number }>(
    `(() => { const { width, height } = document.querySelector(".picture").getBoundingClientRect(); return { width, height }; })()`,
  );
  expect(box).toEqual({ width: 168, height: 168 });
  const picture = readPng(await page.screenshot("article:nth-of-type(3) .picture"));
  // The colours of the third picture grow to the right (red) and downwards (green), under veils of one grey.
  const [corner, right, below] = [picture.at(24, 24), picture.at(160, 24), picture.at(24, 160)];
  expect(right[0] - right[1]).toBeGreaterThan(corner[0] - corner[1]);
  expect(below[1] - below[0]).toBeGreaterThan(corner[1] - corner[0]);
});

test("asked for nothing but what lies inside it, and met no error", () => {
  expect(page.requests.filter((request) => !request.startsWith("data:image/png;base64,"))).toEqual([]);
  expect(page.complaints).toEqual([]);
});
