/** @file A small check that text is well-formed XML, for plots. */

import { expect } from "vitest";

/** Fails where tags do not nest, attributes are not quoted, or text holds a bare < or &. */
export function expectXml(text: string): void {
  const open: string[] = [];
  const token =
    /<(\/?)([a-z][\w:-]*)((?:\s+[\w:-]+="[^"<&]*(?:&(?:amp|lt|gt|quot|#39);[^"<&]*)*")*)\s*(\/?)>|([^<]+)/gy;
  let end = 0;
  for (const [, closing, name, , empty, content] of text.matchAll(token)) {
    if (content !== undefined) expect(content.replace(/&(?:amp|lt|gt|quot|#39);/g, "")).not.toMatch(/&/);
    else if (closing === "/") expect(open.pop()).toBe(name);
    else if (empty !== "/") open.push(name as string);
  }
  token.lastIndex = 0;
  while (token.test(text)) end = token.lastIndex;
  expect({ read: end, open }).toEqual({ read: text.length, open: [] });
}
