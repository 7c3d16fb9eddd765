/**
 * @file Waiting for the GPU without burning a core. While anything is pending, `dawn.node` looks for news in a native
 * callback that it hands to the global `setImmediate` again and again, which keeps one core at 100 %; on two cores that
 * slows a software adapter 1.5 to 2 times. This file turns that one callback, and no other, into a 1 ms timer once a
 * wait has lasted half a millisecond.
 */

/** Waits shorter than this (in ms) are polled, so that quick launches keep their latency. */
const SPIN_MS = 0.5;

/** The shortest timer that Node has, in ms. */
const NAP_MS = 1;

const MARK = Symbol.for("adapters-webgpu.polite-wait");

type SetImmediate = typeof setImmediate;

/** Installs the hook, once per process. It is the only thing that this package changes in the global object. */
export function installPoliteWait(): void {
  const original = globalThis.setImmediate;
  if (MARK in original) return;
  let polling = false;
  let waitStart = 0;

  const poll = (callback: () => void): void => {
    // What Dawn schedules from within its own callback continues a wait; anything else begins one.
    polling = true;
    try {
      callback();
    } finally {
      polling = false;
    }
  };

  const hook = function setImmediate(callback: (...args: unknown[]) => void, ...args: unknown[]): unknown {
    if (args.length > 0 || !isDawnPoll(callback)) return original(callback, ...args);
    const now = performance.now();
    if (!polling) waitStart = now;
    return now - waitStart < SPIN_MS ? original(poll, callback) : setTimeout(poll, NAP_MS, callback);
  };
  // The promisified form and whatever else hangs on the original stay reachable, and stay the original's.
  Object.defineProperties(hook, Object.getOwnPropertyDescriptors(original));
  Object.defineProperty(hook, MARK, { value: true });
  globalThis.setImmediate = hook as unknown as SetImmediate;
}

/**
 * Whether a callback is Dawn's. Its signature is that of a function made by a native addon: native, nameless, without
 * parameters, and with a `prototype`. The native functions that JavaScript itself makes (promise resolvers, bound
 * functions, methods) each lack one of these.
 */
export function isDawnPoll(callback: unknown): callback is () => void {
  return (
    typeof callback === "function" &&
    callback.name === "" &&
    callback.length === 0 &&
    Object.hasOwn(callback, "prototype") &&
    /^function \(\) \{ \[native code\] \}$/.test(Function.prototype.toString.call(callback))
  );
}
