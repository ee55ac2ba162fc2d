import type { Duplex } from 'node:stream';
import type { MachineCheck } from '@lkt/image';
import { printable } from '../output/printable.ts';

type ExecCheck = Extract<MachineCheck, { kind: 'exec' }>;

/**
 * The image of the agent, from `tools/test-agent`; a test reports when it is out of date. Only the
 * images that `lkt test` boots contain it.
 */
const TEST_AGENT_IMAGE: string =
  'lkt/test-agent:81653f5e0d7befe6e00e3a600823d625baf3d22c@sha256:76e3ab29a3b707a765118c27c4dff1f0bd6f3758c2fecd6b11a78fb72ea55c6b';

/** The agent's first line, after which it reads requests. */
const HELLO = /^lkt-test-agent 1$/m;
/** Bytes of a line. The agent returns at most 32 KiB of output, in JSON. */
const MAX_LINE = 2 ** 18;
const MAX_SHOWN = 200;

/** Result of a command in a service. */
interface Answer {
  readonly id: number;
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
  /** Why it did not run. */
  readonly error?: string;
}

/** Returns the image config that adds the agent to an image. */
export function testAgentConfig(): string {
  return `# Written by lkt test for checks that run commands in services. The agent takes orders from a
# serial port and has all privileges: never use this config for anything else.
services:
  - name: lkt-test-agent
    image: ${TEST_AGENT_IMAGE}
`;
}

/** The agent in a machine, at the other end of a serial port. */
export class TestAgent {
  readonly #port: Duplex;
  readonly #hello = Promise.withResolvers<void>();
  readonly #waiting = new Map<number, (answer: Answer) => void>();
  #requests = 0;
  #rest = '';

  constructor(port: Duplex) {
    this.#port = port;
    port.setEncoding('utf8').on('data', (chunk: string) => this.#push(chunk));
    // The end of the machine is reported elsewhere.
    port.on('error', () => undefined);
  }

  /**
   * Runs a command in a service, and returns why the check fails; undefined if it passes.
   * @param seconds time limit in the machine
   */
  async check(
    { service, command, status, matches }: ExecCheck,
    seconds: number,
    signal: AbortSignal,
  ): Promise<string | undefined> {
    const answer = await this.#ask({ service, command, seconds }, signal);
    if (answer === undefined) return 'the agent of lkt test does not answer';
    const { error, status: found, stdout, stderr } = answer;
    if (error !== undefined) return `it did not run: ${shown(error)}`;
    if (found !== status) {
      const said = stderr === '' ? stdout : stderr;
      return `it ended with ${found}, not ${status}${said === '' ? '' : `: ${shown(said)}`}`;
    }
    if (matches === undefined || matches.test(stdout)) return undefined;
    return `its output does not match ${matches.source}: ${shown(stdout)}`;
  }

  /** Returns the answer; undefined if the signal aborts before it. */
  async #ask(
    request: { readonly service: string; readonly command: readonly string[]; seconds: number },
    signal: AbortSignal,
  ): Promise<Answer | undefined> {
    const aborted = new Promise<undefined>((resolve) => {
      if (signal.aborted) resolve(undefined);
      signal.addEventListener('abort', () => resolve(undefined), { once: true });
    });
    await Promise.race([this.#hello.promise, aborted]);
    if (signal.aborted) return undefined;
    this.#requests += 1;
    const id = this.#requests;
    const answered = new Promise<Answer>((resolve) => this.#waiting.set(id, resolve));
    this.#port.write(`${JSON.stringify({ id, ...request })}\n`);
    const answer = await Promise.race([answered, aborted]);
    this.#waiting.delete(id);
    return answer;
  }

  #push(chunk: string): void {
    const lines = (this.#rest + chunk).split('\n');
    this.#rest = (lines.pop() ?? '').slice(0, MAX_LINE);
    for (const line of lines) {
      if (HELLO.test(line)) this.#hello.resolve();
      const answer = parseAnswer(line);
      if (answer !== undefined) this.#waiting.get(answer.id)?.(answer);
    }
  }
}

/** Returns the answer in a line; undefined for any other line. */
function parseAnswer(line: string): Answer | undefined {
  let value: Partial<Record<keyof Answer, unknown>> | null;
  try {
    value = JSON.parse(line) as typeof value;
  } catch {
    return undefined;
  }
  const { id, status, stdout, stderr, error } = value ?? {};
  if (typeof id !== 'number' || typeof status !== 'number') return undefined;
  if (typeof stdout !== 'string' || typeof stderr !== 'string') return undefined;
  return { id, status, stdout, stderr, ...(typeof error === 'string' && { error }) };
}

function shown(text: string): string {
  const start = JSON.stringify(printable(text.slice(0, MAX_SHOWN).trim()));
  return text.length > MAX_SHOWN ? `${start}…` : start;
}
