/** @file Which tokenizer a model folder gets: its own `tokenizer.json`, or one of ours over its `vocab.txt`. */

import { EngineError } from "../errors.ts";
import { huggingFaceTokenizer } from "./huggingface.ts";
import { type JsonObject, parseObject } from "./json.ts";
import { smilesTokenizer } from "./smiles.ts";
import type { Tokenizer } from "./tokenizer.ts";
import { bertSpecialTokens, parseVocabulary, type SpecialTokens, type Vocabulary } from "./vocabulary.ts";
import { type WordpieceOptions, wordpieceTokenizer } from "./wordpiece.ts";

/** A tokenizer of ours, over the `vocab.txt` of a folder. */
export type TokenizerName = "smiles" | "wordpiece";

/** @returns true for the name of a tokenizer; what is none is the place of one. */
export function isTokenizerName(given: unknown): given is TokenizerName {
  return given === "smiles" || given === "wordpiece";
}

/** Texts of the files beside a model, each where it exists. */
export interface TokenizerFiles {
  readonly tokenizerJson?: string | undefined;
  readonly vocabTxt?: string | undefined;
  readonly tokenizerConfig?: string | undefined;
  /** The parsed `config.json`; its `vocab_size` is compared with the tokenizer's. */
  readonly config?: JsonObject | undefined;
}

/** What was asked for and what there is. */
export interface TokenizerRequest {
  /** Absent: chosen from the files. */
  readonly option?: TokenizerName | undefined;
  readonly files: TokenizerFiles;
}

/** The choice. Where `tokenizer` is null, `problem` is the error that a run on texts throws. */
export interface TokenizerChoice {
  readonly tokenizer: Tokenizer | null;
  /** Something the user should read once. */
  readonly note?: string;
  readonly problem?: EngineError;
}

/** A setting of `tokenizer_config.json` that is a token: a string, or an object with `content`. */
function tokenSetting(config: JsonObject, field: string, otherwise: string): string {
  const value = config[field];
  const content = typeof value === "object" && value !== null ? (value as JsonObject)["content"] : value;
  return typeof content === "string" ? content : otherwise;
}

function specialTokens(config: JsonObject): SpecialTokens {
  return {
    unknown: tokenSetting(config, "unk_token", bertSpecialTokens.unknown),
    begin: tokenSetting(config, "cls_token", bertSpecialTokens.begin),
    end: tokenSetting(config, "sep_token", bertSpecialTokens.end),
  };
}

function wordpieceOptions(config: JsonObject): WordpieceOptions {
  const flag = (field: string): boolean | undefined => {
    const value = config[field];
    return typeof value === "boolean" ? value : undefined;
  };
  const lowerCase = flag("do_lower_case") ?? true;
  return {
    lowerCase,
    stripAccents: flag("strip_accents") ?? lowerCase,
    splitIdeographs: flag("tokenize_chinese_chars") ?? true,
  };
}

function vocabularyOf(vocabTxt: string, config: JsonObject): Vocabulary {
  return parseVocabulary(vocabTxt, specialTokens(config));
}

function settingsOf(files: TokenizerFiles): JsonObject {
  return files.tokenizerConfig === undefined ? {} : parseObject(files.tokenizerConfig, "tokenizer_config.json");
}

/** The tokenizer that was named; it needs a `vocab.txt`. */
function namedTokenizer(option: TokenizerName, files: TokenizerFiles): Tokenizer {
  if (files.vocabTxt === undefined) {
    throw new EngineError("NOT_FOUND", `the tokenizer "${option}" needs a vocab.txt, and the folder has none`, {
      where: "vocab.txt",
      fix: "Put vocab.txt beside the weights, pass a folder that has one as tokenizer, or leave the option out.",
    });
  }
  const settings = settingsOf(files);
  const vocabulary = vocabularyOf(files.vocabTxt, settings);
  return option === "smiles" ? smilesTokenizer(vocabulary) : wordpieceTokenizer(vocabulary, wordpieceOptions(settings));
}

async function foundTokenizer(files: TokenizerFiles): Promise<{ tokenizer: Tokenizer; note?: string }> {
  if (files.tokenizerJson !== undefined) {
    return { tokenizer: await huggingFaceTokenizer(files.tokenizerJson, files.tokenizerConfig) };
  }
  if (files.vocabTxt === undefined) {
    throw new EngineError(
      "BAD_INPUT",
      "texts need a tokenizer, and the folder has neither tokenizer.json nor vocab.txt",
      {
        where: "texts",
        fix: 'Pass tokenizer: "smiles", "wordpiece" or a folder that holds a tokenizer to loadModel, or pass ids.',
      },
    );
  }
  if (vocabularyOf(files.vocabTxt, settingsOf(files)).has(">>")) {
    return { tokenizer: namedTokenizer("smiles", files), note: 'vocab.txt holds ">>": texts are read as SMILES' };
  }
  return { tokenizer: namedTokenizer("wordpiece", files) };
}

function sizeNote(tokenizer: Tokenizer, config: JsonObject | undefined): string | undefined {
  const rows = config?.["vocab_size"];
  if (typeof rows !== "number" || tokenizer.vocabularySize <= rows) return undefined;
  return `the tokenizer has ids up to ${tokenizer.vocabularySize - 1}, but the model only has ${rows} words`;
}

/**
 * Chooses the tokenizer of a model folder: the named one, else its `tokenizer.json`, else its `vocab.txt` (one that
 * holds the reaction arrow `>>` takes `smiles`, and the note says so), else none. An unusable file is an error at once
 * only if a tokenizer was named; otherwise it becomes `problem`, so that the model still runs on ids.
 * @example
 * const { tokenizer, note } = await chooseTokenizer({ files: { vocabTxt } });
 */
export async function chooseTokenizer(request: TokenizerRequest): Promise<TokenizerChoice> {
  const { option, files } = request;
  if (option !== undefined) return withNotes(namedTokenizer(option, files), undefined, files);
  try {
    const { tokenizer, note } = await foundTokenizer(files);
    return withNotes(tokenizer, note, files);
  } catch (error) {
    if (error instanceof EngineError) return { tokenizer: null, problem: error };
    throw error;
  }
}

function withNotes(tokenizer: Tokenizer, note: string | undefined, files: TokenizerFiles): TokenizerChoice {
  const notes = [note, sizeNote(tokenizer, files.config)].filter((text) => text !== undefined);
  return notes.length === 0 ? { tokenizer } : { tokenizer, note: notes.join("; ") };
}
