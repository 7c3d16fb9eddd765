/** @file A page of the headless browser under control: the DevTools protocol over a pipe, so that no package is needed. */

import { openBrowser } from "./chromium.ts";
import type { Browser } from "./chromium.ts";

type Fields = Record<string, unknown>;

/** A message of the protocol: an answer when it has an id, else an event. */
interface Message {
  readonly id?: number;
  readonly method?: string;
  readonly params?: Fields;
  readonly result?: Fields;
  readonly error?: { readonly message: string };
}

/** How the reader's screen is set. */
export interface Screen {
  readonly width: number;
  readonly height: number;
  readonly theme: "light" | "dark";
}

/** One page. */
export interface Page {
  /** Opens an address and waits until it is loaded. */
  open(url: string): Promise<void>;
  setScreen(screen: Screen): Promise<void>;
  /** The value of an expression in the page; promises are awaited. */
  evaluate<T>(expression: string): Promise<T>;
  /** Presses a key such as "Tab" or "ArrowRight". */
  press(key: string): Promise<void>;
  /** Moves the pointer to the middle of what a selector names, and presses its button if asked to. */
  point(selector: string, click?: boolean): Promise<void>;
  /** Whether scripts of pages opened from now on may run. */
  setScripts(allowed: boolean): Promise<void>;
  /** The page, or the part of it that a selector names, as a PNG. */
  screenshot(selector?: string): Promise<Uint8Array>;
  /** Addresses that the page asked for, itself left away. */
  readonly requests: readonly string[];
  /** Errors, warnings and refusals of the content security policy. */
  readonly complaints: readonly string[];
  close(): Promise<void>;
}

const CODES: Readonly<Record<string, number>> = { Tab: 9, End: 35, Home: 36, ArrowLeft: 37, ArrowRight: 39 };

/** The protocol: JSON texts, each ended by a zero byte. */
class Channel {
  readonly #browser: Browser;
  readonly #waiting = new Map<number, (message: Message) => void>();
  readonly #listeners: ((method: string, params: Fields) => void)[] = [];
  #rest = Buffer.alloc(0);
  #last = 0;
  session: string | undefined;

  constructor(browser: Browser) {
    this.#browser = browser;
    browser.pipes.answers.on("data", (chunk: Buffer) => this.#read(chunk));
  }

  #read(chunk: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, chunk]);
    for (let end = this.#rest.indexOf(0); end >= 0; end = this.#rest.indexOf(0)) {
      const message = JSON.parse(this.#rest.subarray(0, end).toString()) as Message;
      this.#rest = this.#rest.subarray(end + 1);
      if (message.id === undefined) {
        for (const listener of this.#listeners) listener(message.method ?? "", message.params ?? {});
      } else {
        this.#waiting.get(message.id)?.(message);
        this.#waiting.delete(message.id);
      }
    }
  }

  listen(listener: (method: string, params: Fields) => void): void {
    this.#listeners.push(listener);
  }

  async send(method: string, params: Fields = {}): Promise<Fields> {
    const id = (this.#last += 1);
    const answer = new Promise<Message>((resolve) => this.#waiting.set(id, resolve));
    const to = this.session === undefined ? {} : { sessionId: this.session };
    this.#browser.pipes.commands.write(`${JSON.stringify({ id, method, params, ...to })}\0`);
    const { result, error } = await answer;
    if (error !== undefined) throw new Error(`${method}: ${error.message}\n${this.#browser.log()}`);
    return result ?? {};
  }
}

/** What a page says on its console, and what it was refused. */
function complaintOf(method: string, params: Fields): string | null {
  if (method === "Runtime.exceptionThrown") return JSON.stringify(params["exceptionDetails"]);
  if (method === "Runtime.consoleAPICalled" && ["error", "warning", "assert"].includes(String(params["type"])))
    return JSON.stringify(params["args"]);
  const entry = method === "Log.entryAdded" ? (params["entry"] as Fields) : {};
  return ["error", "warning"].includes(String(entry["level"])) ? String(entry["text"]) : null;
}

async function evaluate(channel: Channel, expression: string): Promise<unknown> {
  const { result, exceptionDetails } = await channel.send("Runtime.evaluate", {
    expression,
    returnByValue: true,
    awaitPromise: true,
  });
  if (exceptionDetails !== undefined) throw new Error(`${expression}: ${JSON.stringify(exceptionDetails)}`);
  return (result as Fields)["value"];
}

async function point(channel: Channel, selector: string, click: boolean): Promise<void> {
  const at = (await evaluate(
    channel,
    `(() => { const found = document.querySelector(${JSON.stringify(selector)});
    found.scrollIntoView({ block: "center", behavior: "instant" });
    const { x, y, width, height } = found.getBoundingClientRect(); return { x: x + width / 2, y: y + height / 2 }; })()`,
  )) as Fields;
  await channel.send("Input.dispatchMouseEvent", { type: "mouseMoved", ...at });
  const button = { button: "left", clickCount: 1, ...at };
  if (!click) return;
  await channel.send("Input.dispatchMouseEvent", { type: "mousePressed", ...button });
  await channel.send("Input.dispatchMouseEvent", { type: "mouseReleased", ...button });
}

async function screenshot(channel: Channel, selector: string): Promise<Uint8Array> {
  const box = (await evaluate(
    channel,
    `(() => { const { x, y, width, height } = document.querySelector(${JSON.stringify(selector)}).getBoundingClientRect();
    return { x: x + scrollX, y: y + scrollY, width, height }; })()`,
  )) as Fields;
  const { data } = await channel.send("Page.captureScreenshot", {
    format: "png",
    captureBeyondViewport: true,
    clip: { ...box, scale: 1 },
  });
  return Buffer.from(String(data), "base64");
}

async function attach(channel: Channel): Promise<void> {
  const { targetInfos } = (await channel.send("Target.getTargets")) as { targetInfos: Fields[] };
  const target = targetInfos.find(({ type }) => type === "page");
  const { sessionId } = await channel.send("Target.attachToTarget", { targetId: target?.["targetId"], flatten: true });
  channel.session = String(sessionId);
  for (const domain of ["Page", "Runtime", "Network", "Log"]) await channel.send(`${domain}.enable`);
}

/** Opens the browser on an empty page. */
export async function openPage(): Promise<Page> {
  const browser = await openBrowser("about:blank", ["--remote-debugging-pipe", "--hide-scrollbars"]);
  const channel = new Channel(browser);
  const [requests, complaints]: [string[], string[]] = [[], []];
  let loaded: () => void = () => undefined;
  channel.listen((method, params) => {
    const complaint = complaintOf(method, params);
    if (complaint !== null) complaints.push(complaint);
    if (method === "Page.loadEventFired") loaded();
    if (method === "Network.requestWillBeSent" && params["type"] !== "Document")
      requests.push(String((params["request"] as Fields)["url"]));
  });
  await attach(channel);
  return {
    requests,
    complaints,
    evaluate: <T>(expression: string): Promise<T> => evaluate(channel, expression) as Promise<T>,
    screenshot: (selector = "html") => screenshot(channel, selector),
    open: async (url) => {
      const done = new Promise<void>((resolve) => (loaded = resolve));
      const { errorText } = await channel.send("Page.navigate", { url });
      if (errorText !== undefined) throw new Error(`${url}: ${String(errorText)}`);
      await done;
    },
    setScreen: async ({ width, height, theme }) => {
      const size = { width, height, deviceScaleFactor: 1, mobile: false };
      await channel.send("Emulation.setDeviceMetricsOverride", size);
      const features = [{ name: "prefers-color-scheme", value: theme }];
      await channel.send("Emulation.setEmulatedMedia", { features });
    },
    press: async (key) => {
      for (const type of ["rawKeyDown", "keyUp"])
        await channel.send("Input.dispatchKeyEvent", { type, key, code: key, windowsVirtualKeyCode: CODES[key] });
    },
    point: (selector, click = false) => point(channel, selector, click),
    setScripts: async (allowed) => {
      await channel.send("Emulation.setScriptExecutionDisabled", { value: !allowed });
    },
    close: () => browser.close(),
  };
}
