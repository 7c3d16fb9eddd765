/** @file Text that is escaped is safe in HTML and in XML, and shows what could not be seen. */

import { expect, test } from "vitest";
import { escapeMarkup } from "../../src/plot/escape.ts";

test.each([
  ["<a href=\"x\" title='y'>&amp;", "&lt;a href=&quot;x&quot; title=&#39;y&#39;&gt;&amp;amp;"],
  ["line\nand\ttab\0", "line\u240Aand\u2409tab\u2400"],
  ["\u007F\u0085", "\uFFFD\uFFFD"],
  ["\uD800 \uDC00 \uFFFE \uFFFF", "\uFFFD \uFFFD \uFFFD \uFFFD"],
  ["\u{1F600} \u202E λ", "\u{1F600} \u202E λ"],
])("%j", (text, escaped) => {
  expect(escapeMarkup(text)).toBe(escaped);
});
