/** @file Tokenizers against published results, against each other, and on files that are wrong. */

import { existsSync, readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";
import { EngineError, type ErrorCode } from "../../src/errors.ts";
import { chooseTokenizer } from "../../src/inputs/choose.ts";
import { parseTable } from "../../src/inputs/csv.ts";
import { huggingFaceTokenizer } from "../../src/inputs/huggingface.ts";
import { smilesTokenizer, splitSmiles } from "../../src/inputs/smiles.ts";
import { parseVocabulary } from "../../src/inputs/vocabulary.ts";
import { splitWords, wordpieceTokenizer } from "../../src/inputs/wordpiece.ts";

const data = new URL("../../../shared/data/", import.meta.url);
const bert = new URL("tokenizer-bert-base-uncased/", data);
const rxn = new URL("rxnmapper-albert/", data);
const banking = new URL("text-banking77/test.csv.gz", data);
const emotions = new URL("text-goemotions/original.test.tsv.gz", data);

function codeOf(run: () => unknown): ErrorCode | undefined {
  try {
    run();
  } catch (error) {
    if (error instanceof EngineError && error.fix !== "" && error.where !== "") return error.code;
    throw error;
  }
  return undefined;
}

const words = [
  "[PAD]",
  "[UNK]",
  "[CLS]",
  "[SEP]",
  "[MASK]",
  "un",
  "##want",
  "##ed",
  "run",
  "##ning",
  ",",
  "博",
  "a",
  "é",
];
const small = words.join("\n");

describe("parseVocabulary", () => {
  it("numbers the lines, whatever their ends", () => {
    for (const text of [small, `${small}\n`, `${small}\r\n`.replace(/(?<!\r)\n/g, "\r\n"), `\uFEFF${small}\n\n`]) {
      const vocabulary = parseVocabulary(text);
      expect(vocabulary.tokens).toEqual(words);
      expect(vocabulary.idOf("##ning")).toBe(9);
      expect(vocabulary.idOf("absent")).toBe(1);
    }
  });

  it("refuses duplicates and missing special tokens by name", () => {
    expect(codeOf(() => parseVocabulary(`${small}\nun`))).toBe("BAD_FILE");
    expect(() => parseVocabulary(`${small}\nun`)).toThrow('"un" stands on lines 6 and 15');
    expect(() => parseVocabulary("[UNK]\nx")).toThrow("lacks [CLS], [SEP]");
    expect(codeOf(() => parseVocabulary(""))).toBe("BAD_FILE");
  });
});

describe("smiles", () => {
  it("splits atoms, bonds and arrows, and makes one unknown token of each run it cannot read", () => {
    expect(splitSmiles("BrC[C@@H](Cl)%12=N>>c1.[O-]", "?")).toEqual([
      "Br",
      "C",
      "[C@@H]",
      "(",
      "Cl",
      ")",
      "%12",
      "=",
      "N",
      ">>",
      "c",
      "1",
      ".",
      "[O-]",
    ]);
    expect(splitSmiles(" C!!zC\n", "[UNK]")).toEqual(["C", "[UNK]", "C"]);
    expect(splitSmiles("C C[", "[UNK]")).toEqual(["C", "[UNK]", "C", "[UNK]"]);
    expect(splitSmiles("", "[UNK]")).toEqual([]);
  });

  it("loses no character of any text", () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(..."CcBrl[]()=#>%12 \n@é!") }), (text) => {
        const known = splitSmiles(text, "\0").filter((token) => token !== "\0");
        // Every known token is found in order, and what lies between is what became unknown.
        let rest = text.trim();
        let unknown = 0;
        for (const token of known) {
          const at = rest.indexOf(token);
          expect(at).toBeGreaterThanOrEqual(0);
          if (at > 0) unknown += 1;
          rest = rest.slice(at + token.length);
        }
        const total = splitSmiles(text, "\0").length;
        expect(total - known.length).toBeLessThanOrEqual(unknown + (rest === "" ? 0 : 1));
        if (rest !== "" || unknown > 0) expect(total).toBeGreaterThan(known.length);
      }),
    );
  });

  it("gives the unknown id to a well-formed atom outside the vocabulary, and frames pairs", () => {
    const tokenizer = smilesTokenizer(parseVocabulary("[UNK]\n[CLS]\n[SEP]\nC\n>>"));
    expect(tokenizer.encode("C[Xx]")).toEqual({
      ids: [1, 3, 0, 2],
      types: [0, 0, 0, 0],
      tokens: ["[CLS]", "C", "[UNK]", "[SEP]"],
    });
    expect(tokenizer.encode(["C", "CC"]).types).toEqual([0, 0, 0, 1, 1, 1]);
  });

  it.skipIf(!existsSync(rxn))("gives the published tokens and ids, and knows every token of 996 reactions", () => {
    const tokenizer = smilesTokenizer(parseVocabulary(readFileSync(new URL("vocab.txt", rxn), "utf8")));
    const reference = JSON.parse(readFileSync(new URL("reference.json", rxn), "utf8")) as {
      cases: { reaction_fed_to_model: string; tokens: string[]; input_ids: number[] }[];
    };
    expect(reference.cases.length).toBe(5);
    for (const published of reference.cases) {
      const encoding = tokenizer.encode(published.reaction_fed_to_model);
      expect(encoding.tokens).toEqual(published.tokens);
      expect(encoding.ids).toEqual(published.input_ids);
    }
    const csv = gunzipSync(readFileSync(new URL("example_rxns.csv.gz", rxn))).toString("utf8");
    const lengths = parseTable(csv)
      .column("rxn")
      .map((text) => {
        const { tokens } = tokenizer.encode(text);
        expect(tokens).not.toContain("[UNK]");
        expect(tokens.slice(1, -1).join("")).toBe(text);
        return tokens.length;
      });
    expect(lengths.length).toBe(996);
    expect(tokenizer.vocabularySize).toBe(591);
  });
});

describe("wordpiece", () => {
  const vocabulary = parseVocabulary(small);

  it("splits, matches greedily and frames", () => {
    const tokenizer = wordpieceTokenizer(vocabulary);
    expect(tokenizer.encode("UNwantéd,running").tokens).toEqual([
      "[CLS]",
      "un",
      "##want",
      "##ed",
      ",",
      "run",
      "##ning",
      "[SEP]",
    ]);
    expect(tokenizer.encode("a博a").tokens).toEqual(["[CLS]", "a", "博", "a", "[SEP]"]);
    expect(tokenizer.encode("a[MASK]a [SEP]").tokens).toEqual(["[CLS]", "a", "[MASK]", "a", "[SEP]", "[SEP]"]);
    expect(tokenizer.encode(["a", ""])).toEqual({
      ids: [2, 12, 3, 3],
      types: [0, 0, 0, 1],
      tokens: ["[CLS]", "a", "[SEP]", "[SEP]"],
    });
  });

  it("takes a word of 100 characters and calls one of 101 unknown, counted in code points", () => {
    const long = wordpieceTokenizer(parseVocabulary("[UNK]\n[CLS]\n[SEP]\n𝒳\n##𝒳"));
    expect(long.encode("𝒳".repeat(100)).ids).toEqual([1, 3, ...Array.from({ length: 99 }, () => 4), 2]);
    expect(long.encode("𝒳".repeat(101)).ids).toEqual([1, 0, 2]);
  });

  it("keeps case, accents and ideographs where it is told to", () => {
    expect(splitWords("É博A", { lowerCase: false, splitIdeographs: false })).toEqual(["É博A"]);
    expect(splitWords("É", { lowerCase: true, stripAccents: false })).toEqual(["é"]);
    expect(splitWords("É", { lowerCase: false, stripAccents: true })).toEqual(["E"]);
    expect(splitWords("x\u0000\uFFFD\u200By\u3000z\u2028w")).toEqual(["xy", "z", "w"]);
  });

  it.skipIf(!existsSync(bert))("agrees with all 30 published texts, tokens and ids", () => {
    const tokenizer = wordpieceTokenizer(parseVocabulary(readFileSync(new URL("vocab.txt", bert), "utf8")));
    const { cases } = JSON.parse(readFileSync(new URL("expected_tokenization.json", bert), "utf8")) as {
      cases: { name: string; text: string; text_pair?: string; tokens: string[]; ids: number[] }[];
    };
    expect(cases.length).toBe(30);
    for (const { name, text, text_pair, tokens, ids } of cases) {
      const encoding = tokenizer.encode(text_pair === undefined ? text : [text, text_pair]);
      expect(encoding.ids, name).toEqual(ids);
      expect(
        encoding.tokens.filter((token) => token !== "[CLS]" && token !== "[SEP]"),
        name,
      ).toEqual(tokens);
      expect(encoding.types.length, name).toBe(ids.length);
    }
  });
});

/** A tokenizer.json that describes the same thing as {@link wordpieceTokenizer}. */
function describeBert(tokens: readonly string[]): string {
  const specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
  return JSON.stringify({
    version: "1.0",
    added_tokens: specials.map((content) => ({
      id: tokens.indexOf(content),
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    })),
    normalizer: {
      type: "BertNormalizer",
      clean_text: true,
      handle_chinese_chars: true,
      strip_accents: null,
      lowercase: true,
    },
    pre_tokenizer: { type: "BertPreTokenizer" },
    post_processor: {
      type: "BertProcessing",
      sep: ["[SEP]", tokens.indexOf("[SEP]")],
      cls: ["[CLS]", tokens.indexOf("[CLS]")],
    },
    decoder: { type: "WordPiece", prefix: "##", cleanup: true },
    model: {
      type: "WordPiece",
      unk_token: "[UNK]",
      continuing_subword_prefix: "##",
      max_input_chars_per_word: 100,
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
    },
  });
}

describe("huggingFaceTokenizer", () => {
  it("reads a tokenizer.json and gives the same as our own word pieces", async () => {
    const theirs = await huggingFaceTokenizer(describeBert(words));
    const ours = wordpieceTokenizer(parseVocabulary(small));
    expect(theirs.kind).toBe("huggingface");
    expect(theirs.vocabularySize).toBe(words.length);
    for (const text of ["UNwantéd,running", "a 博 zzz", "", "a[MASK]a"]) {
      expect(theirs.encode(text), text).toEqual(ours.encode(text));
    }
    expect(theirs.encode(["a", "un"])).toEqual(ours.encode(["a", "un"]));
  });

  it.skipIf(!existsSync(bert) || !existsSync(banking) || !existsSync(emotions))(
    "agrees with our word pieces on thousands of real sentences",
    async () => {
      const vocabTxt = readFileSync(new URL("vocab.txt", bert), "utf8");
      const vocabulary = parseVocabulary(vocabTxt);
      const ours = wordpieceTokenizer(vocabulary);
      const theirs = await huggingFaceTokenizer(describeBert(vocabulary.tokens));
      const sentences = [
        ...parseTable(gunzipSync(readFileSync(banking)).toString("utf8"))
          .column("text")
          .slice(0, 1500),
        ...gunzipSync(readFileSync(emotions)).toString("utf8").split("\n").slice(0, 1500),
      ];
      const different = sentences.filter((text) => ours.encode(text).ids.join() !== theirs.encode(text).ids.join());
      expect(different).toEqual([]);
    },
  );

  it("names the file that is not JSON or describes nothing", async () => {
    await expect(huggingFaceTokenizer("{")).rejects.toMatchObject({ code: "BAD_FILE", where: "tokenizer.json" });
    await expect(huggingFaceTokenizer("[]")).rejects.toMatchObject({ code: "BAD_FILE" });
    await expect(huggingFaceTokenizer("{}")).rejects.toMatchObject({ code: "BAD_FILE" });
    await expect(huggingFaceTokenizer('{"model":{"type":"Nonsense"}}')).rejects.toMatchObject({ code: "BAD_FILE" });
    await expect(huggingFaceTokenizer(describeBert(words), "no")).rejects.toMatchObject({
      code: "BAD_FILE",
      where: "tokenizer_config.json",
    });
  });

  it("says how to install the package where it is missing", async () => {
    vi.doMock("@huggingface/tokenizers", () => {
      throw new Error("Cannot find package");
    });
    try {
      await expect(huggingFaceTokenizer(describeBert(words))).rejects.toMatchObject({
        code: "MISSING_PACKAGE",
        fix: expect.stringContaining("npm install @huggingface/tokenizers") as string,
      });
    } finally {
      vi.doUnmock("@huggingface/tokenizers");
    }
  });
});

describe("chooseTokenizer", () => {
  it("prefers tokenizer.json, then vocab.txt, and says when a vocabulary is of reactions", async () => {
    const own = await chooseTokenizer({ files: { tokenizerJson: describeBert(words), vocabTxt: small } });
    expect(own.tokenizer?.kind).toBe("huggingface");
    const plain = await chooseTokenizer({ files: { vocabTxt: small } });
    expect(plain).toMatchObject({ tokenizer: { kind: "wordpiece" } });
    expect(plain.note).toBeUndefined();
    const reactions = await chooseTokenizer({ files: { vocabTxt: `${small}\n>>` } });
    expect(reactions.tokenizer?.kind).toBe("smiles");
    expect(reactions.note).toContain(">>");
    const named = await chooseTokenizer({ option: "wordpiece", files: { vocabTxt: `${small}\n>>` } });
    expect(named.tokenizer?.kind).toBe("wordpiece");
    expect(named.note).toBeUndefined();
  });

  it("reads the options of tokenizer_config.json", async () => {
    const tokenizerConfig = JSON.stringify({ do_lower_case: false, cls_token: { content: "<s>" }, sep_token: "</s>" });
    const vocabTxt = "[UNK]\n<s>\n</s>\nÉ\ne";
    const { tokenizer } = await chooseTokenizer({ files: { vocabTxt, tokenizerConfig } });
    expect(tokenizer?.encode("É").ids).toEqual([1, 3, 2]);
  });

  it("gives none where there is nothing, with the error that texts shall throw", async () => {
    const { tokenizer, problem } = await chooseTokenizer({ files: {} });
    expect(tokenizer).toBeNull();
    expect(problem).toMatchObject({ code: "BAD_INPUT", fix: expect.stringContaining('"smiles"') as string });
  });

  it("keeps a bad file for later unless a tokenizer was named", async () => {
    const files = { vocabTxt: "x\nx" };
    expect(await chooseTokenizer({ files })).toMatchObject({ tokenizer: null, problem: { code: "BAD_FILE" } });
    await expect(chooseTokenizer({ option: "smiles", files })).rejects.toMatchObject({ code: "BAD_FILE" });
    await expect(chooseTokenizer({ option: "smiles", files: {} })).rejects.toMatchObject({ code: "NOT_FOUND" });
  });

  it("notes a vocabulary larger than the model's", async () => {
    const { note } = await chooseTokenizer({ files: { vocabTxt: small, config: { vocab_size: 3 } } });
    expect(note).toContain(`ids up to ${words.length - 1}`);
    expect(
      (await chooseTokenizer({ files: { vocabTxt: small, config: { vocab_size: words.length } } })).note,
    ).toBeUndefined();
  });
});
