import { printable } from '../output/printable.ts';

const MAX_LINE_CHARS = 8192;
const MAX_NAMES = 1000;

/**
 * Splits the console output of a machine into printable lines, and selects those of a service: its
 * log, where the console has it as `NAME: TEXT`; the steps of PID 1 about it; and the end of its
 * log that follows a failure.
 */
export class ServiceLines {
  readonly #service: string | undefined;
  readonly #take: (line: string) => void;
  #rest = '';
  /** The last step of PID 1 was about the service. */
  #isAbout = false;
  #hasLog = false;
  readonly #names = new Set<string>();

  /** @param service undefined: all lines */
  constructor(service: string | undefined, take: (line: string) => void) {
    this.#service = service;
    this.#take = take;
  }

  /** Reports whether a line of the service's own log was seen. */
  get hasLog(): boolean {
    return this.#hasLog;
  }

  /** The names of the logs in the selected steps of PID 1; empty if no service is selected. */
  get names(): ReadonlySet<string> {
    return this.#names;
  }

  push(chunk: Uint8Array): void {
    const lines = (this.#rest + Buffer.from(chunk).toString('latin1')).split('\n');
    this.#rest = (lines.pop() ?? '').slice(-MAX_LINE_CHARS);
    for (const line of lines) this.#line(line);
  }

  /** Takes the last line, which has no end. */
  end(): void {
    if (this.#rest !== '') this.#line(this.#rest);
    this.#rest = '';
  }

  #line(raw: string): void {
    const line = printable(Buffer.from(raw, 'latin1').toString('utf8'));
    const service = this.#service;
    if (service === undefined) this.#take(line);
    else if (line.startsWith(`${service}: `)) {
      this.#hasLog = true;
      this.#take(line.slice(service.length + 2));
    } else if (/^lkt: {3}/.test(line)) {
      this.#hasLog ||= this.#isAbout;
      if (this.#isAbout) this.#take(line);
    } else if (line.startsWith('lkt: ')) {
      const [, kind, name = ''] = /^lkt: (service|onboot|onshutdown) (\S+)/.exec(line) ?? [];
      const log = kind === 'service' ? name : `${kind}.${name}`;
      if (kind !== undefined && this.#names.size < MAX_NAMES) this.#names.add(log);
      this.#isAbout = name === service || log === service;
      if (this.#isAbout) this.#take(line);
    }
  }
}
