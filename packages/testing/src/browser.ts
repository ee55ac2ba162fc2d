import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { pathToFileURL } from 'node:url';

/** A page in a browser. */
export interface BrowserPage {
  /**
   * Evaluates an expression in the page, and returns its value as JSON data.
   * @throws Error if the expression throws
   */
  evaluate<T>(expression: string): Promise<T>;
  /** Presses a key, such as `Tab`, `Enter` or `a`. */
  press(key: string): Promise<void>;
  /** Selects the theme that the user prefers. */
  prefer(theme: 'light' | 'dark'): Promise<void>;
  /** Writes a picture of the whole page. */
  screenshot(path: string): Promise<void>;
  /** URLs that the page requested, script errors, and what its policy blocked. */
  readonly requests: readonly string[];
  readonly errors: readonly string[];
}

/** In pixels. */
interface WindowSize {
  readonly width: number;
  readonly height: number;
}

/** A headless browser. */
export interface Browser extends AsyncDisposable {
  /** Opens a file, in a window of 1280 by 900 pixels or of another size. */
  open(path: string, window?: WindowSize): Promise<BrowserPage>;
}

interface Message {
  readonly id?: number;
  readonly method?: string;
  readonly sessionId?: string;
  readonly params?: Readonly<Record<string, unknown>>;
  readonly result?: Readonly<Record<string, unknown>>;
  readonly error?: { readonly message: string };
}

/**
 * Starts Debian's Chromium. Speaks the DevTools protocol over pipes, so that it listens on no port.
 * @example
 * ```ts
 * await using browser = await startBrowser();
 * const page = await browser.open('report.html');
 * await page.evaluate('document.querySelectorAll("tr").length');
 * ```
 */
export async function startBrowser(): Promise<Browser> {
  const profile = await mkdtempDisposable(join(tmpdir(), 'lkt-browser-'));
  const child = spawn(
    'chromium',
    [
      '--headless',
      // Tests run as root, and in containers, where Chromium cannot set up its sandbox.
      '--no-sandbox',
      '--disable-gpu',
      '--disable-dev-shm-usage',
      '--disable-background-networking',
      '--no-first-run',
      '--window-size=1280,900',
      `--user-data-dir=${profile.path}`,
      '--remote-debugging-pipe',
    ],
    {
      stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'],
      env: { ...process.env, HOME: profile.path },
    },
  );
  const connection = new Connection(child);
  return {
    open: async (path, window) => openPage(connection, path, window),
    [Symbol.asyncDispose]: async () => {
      const ended = new Promise((resolve) => child.once('exit', resolve));
      if (child.exitCode === null) {
        child.kill();
        await ended;
      }
      await profile[Symbol.asyncDispose]();
    },
  };
}

/** Sends commands, which end with a NUL, and matches their answers by id. */
class Connection {
  readonly #input: Writable;
  readonly #waiting = new Map<number, (message: Message) => void>();
  readonly #listeners = new Set<(message: Message) => void>();
  #last = 0;
  #failure: Error | undefined;

  constructor(child: ChildProcess) {
    this.#input = child.stdio[3] as Writable;
    const output = child.stdio[4] as Readable;
    let text = '';
    output.setEncoding('utf8').on('data', (chunk: string) => {
      const messages = (text + chunk).split('\0');
      text = messages.pop() ?? '';
      for (const message of messages) this.#receive(JSON.parse(message) as Message);
    });
    const fail = (error: Error): void => {
      this.#failure = error;
      for (const answer of this.#waiting.values()) answer({ error });
      this.#waiting.clear();
    };
    this.#input.on('error', fail);
    child.on('error', fail);
    child.on('exit', (code) => fail(new Error(`chromium ended with ${code}`)));
  }

  listen(listener: (message: Message) => void): void {
    this.#listeners.add(listener);
  }

  async send(
    method: string,
    params: Readonly<Record<string, unknown>> = {},
    sessionId?: string,
  ): Promise<Readonly<Record<string, unknown>>> {
    if (this.#failure !== undefined) throw this.#failure;
    const id = (this.#last += 1);
    const { promise, resolve } = Promise.withResolvers<Message>();
    this.#waiting.set(id, resolve);
    this.#input.write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
    const { result, error } = await promise;
    if (error !== undefined) throw new Error(`${method}: ${error.message}`);
    return result ?? {};
  }

  #receive(message: Message): void {
    if (message.id === undefined) {
      for (const listener of this.#listeners) listener(message);
      return;
    }
    this.#waiting.get(message.id)?.(message);
    this.#waiting.delete(message.id);
  }
}

async function openPage(
  connection: Connection,
  path: string,
  window?: WindowSize,
): Promise<BrowserPage> {
  const { targetId } = await connection.send('Target.createTarget', { url: 'about:blank' });
  const attached = await connection.send('Target.attachToTarget', { targetId, flatten: true });
  const sessionId = attached['sessionId'] as string;
  const send = async (
    method: string,
    params?: Readonly<Record<string, unknown>>,
  ): Promise<Readonly<Record<string, unknown>>> => connection.send(method, params, sessionId);
  const requests: string[] = [];
  const errors: string[] = [];
  const loaded = Promise.withResolvers<void>();
  connection.listen((message) => {
    if (message.sessionId !== sessionId) return;
    const { method, params = {} } = message;
    if (method === 'Page.loadEventFired') loaded.resolve();
    if (method === 'Network.requestWillBeSent')
      requests.push((params['request'] as { readonly url: string }).url);
    if (method === 'Runtime.exceptionThrown' || method === 'Page.javascriptDialogOpening')
      errors.push(JSON.stringify(params));
    if (method === 'Log.entryAdded')
      errors.push((params['entry'] as { readonly text: string }).text);
  });
  for (const domain of ['Page', 'Network', 'Runtime', 'Log']) await send(`${domain}.enable`);
  if (window !== undefined) {
    const metrics = { ...window, deviceScaleFactor: 1, mobile: false };
    await send('Emulation.setDeviceMetricsOverride', metrics);
  }
  await send('Page.navigate', { url: pathToFileURL(path).href });
  await loaded.promise;
  return {
    requests,
    errors,
    evaluate: async <T>(expression: string) => {
      const { result, exceptionDetails } = await send('Runtime.evaluate', {
        expression,
        returnByValue: true,
        awaitPromise: true,
      });
      if (exceptionDetails !== undefined) throw new Error(JSON.stringify(exceptionDetails));
      return (result as { readonly value: T }).value;
    },
    press: async (key) => {
      const event = { key, code: key, ...KEYS[key] };
      const text = key === 'Enter' ? '\r' : key.length === 1 ? key : undefined;
      await send('Input.dispatchKeyEvent', { type: 'keyDown', ...event, text });
      await send('Input.dispatchKeyEvent', { type: 'keyUp', ...event });
    },
    prefer: async (theme) => {
      const features = [{ name: 'prefers-color-scheme', value: theme }];
      await send('Emulation.setEmulatedMedia', { features });
    },
    screenshot: async (file) => {
      const { data } = await send('Page.captureScreenshot', { captureBeyondViewport: true });
      await writeFile(file, Buffer.from(data as string, 'base64'));
    },
  };
}

/** Key codes of keys that browsers act on by code. */
const KEYS: Readonly<Record<string, { readonly windowsVirtualKeyCode: number }>> = {
  Enter: { windowsVirtualKeyCode: 13 },
  Escape: { windowsVirtualKeyCode: 27 },
  Tab: { windowsVirtualKeyCode: 9 },
  ArrowLeft: { windowsVirtualKeyCode: 37 },
  ArrowRight: { windowsVirtualKeyCode: 39 },
};
