/** @file Tokenizers from Hugging Face's `tokenizer.json`, through the optional package `@huggingface/tokenizers`. */

import { EngineError } from "../errors.ts";
import { parseObject } from "./json.ts";
import type { Tokenizer } from "./tokenizer.ts";

type Package = typeof import("@huggingface/tokenizers");

async function loadPackage(): Promise<Package> {
  try {
    return await import("@huggingface/tokenizers");
  } catch (cause) {
    throw new EngineError("MISSING_PACKAGE", "reading tokenizer.json needs the package @huggingface/tokenizers", {
      fix: "npm install @huggingface/tokenizers, or pass ids instead of texts.",
      where: "tokenizer.json",
      cause,
    });
  }
}

/**
 * Builds the tokenizer that a `tokenizer.json` describes. The package is loaded only here, on the first call.
 * @param tokenizerJson - Text of `tokenizer.json`.
 * @param tokenizerConfig - Text of `tokenizer_config.json`, where there is one.
 * @throws EngineError `MISSING_PACKAGE` without the package, `BAD_FILE` for a file that it cannot use.
 */
export async function huggingFaceTokenizer(tokenizerJson: string, tokenizerConfig?: string): Promise<Tokenizer> {
  const description = parseObject(tokenizerJson, "tokenizer.json");
  const config = tokenizerConfig === undefined ? {} : parseObject(tokenizerConfig, "tokenizer_config.json");
  const { Tokenizer: Implementation } = await loadPackage();
  try {
    const inner = new Implementation(description, config);
    let vocabularySize = 0;
    for (const id of inner.get_vocab(true).values()) vocabularySize = Math.max(vocabularySize, id + 1);
    return {
      kind: "huggingface",
      vocabularySize,
      encode(text) {
        const [first, second] = typeof text === "string" ? [text, null] : text;
        const encoding = inner.encode(first, { text_pair: second, return_token_type_ids: true });
        return { ids: encoding.ids, types: encoding.token_type_ids, tokens: encoding.tokens };
      },
    };
  } catch (cause) {
    throw new EngineError(
      "BAD_FILE",
      `tokenizer.json cannot be used: ${cause instanceof Error ? cause.message : cause}`,
      {
        fix: "Check that the file is complete and that @huggingface/tokenizers knows its model and normalizers.",
        where: "tokenizer.json",
        cause,
      },
    );
  }
}
