import { StringDecoder } from 'node:string_decoder';
import { LktError, type Reporter } from '@lkt/core';

/** A piece of what `--progress rawjson` says (BuildKit, client/graph.go, SolveStatus). */
interface SolveStatus {
  readonly vertexes: readonly Vertex[];
  readonly logs: readonly Piece[];
}

interface Piece {
  readonly vertex: string;
  /** Bytes, in base64. */
  readonly data: string;
}

interface Vertex {
  readonly digest: string;
  readonly name: string;
  readonly started?: string | null;
  readonly completed?: string | null;
  readonly cached?: boolean;
  readonly error?: string;
}

interface State {
  readonly id: string;
  readonly name: string;
  readonly log: Log;
  started: boolean;
  ended: boolean;
}

/** Of the log of a step that fails, what is kept for the error. */
const KEPT = 8192;
/** A log comes in pieces of 32 KiB. */
const MAX_OBJECT = 16 * 2 ** 20;
/** How BuildKit names steps: `[linux/amd64 stage 2/5] RUN …`, the first two where there are several. What else it does has other names. */
const STEP = /^\[(?:\S+ ){0,2}\d+\/\d+\] /;
const STAGE = /(\S+) \d+\/\d+\] /;

/** The step of a Dockerfile that failed. */
export interface FailedStep {
  /** The name of its stage, or `stage-N`; undefined in a Dockerfile of one stage. */
  readonly stage: string | undefined;
  /** On one line, mostly as written; variables of a COPY are replaced. */
  readonly title: string;
  readonly log: string;
  readonly error: string;
}

/** Makes events of what BuildKit says it does, and keeps what an error needs. */
export class BuildProgress {
  readonly #name: string;
  readonly #reporter: Reporter;
  readonly #states = new Map<string, State>();
  #failed: FailedStep | undefined;
  #other = '';
  #pending = '';

  constructor(name: string, reporter: Reporter) {
    this.#name = name;
    this.#reporter = reporter;
  }

  get failed(): FailedStep | undefined {
    return this.#failed;
  }

  /** The end of what was not progress: messages of the program. */
  get complaint(): string {
    return this.#other.trim();
  }

  /** A line of what the program writes: buildctl writes one object a line, buildx spreads it over many. */
  line(text: string): void {
    const isInside = this.#pending !== '';
    if (!isInside && !text.startsWith('{')) {
      this.#other = `${this.#other}${text}\n`.slice(-KEPT);
      return;
    }
    this.#pending += text;
    if (this.#pending.length > MAX_OBJECT)
      throw new LktError('IMAGE_INVALID', 'the progress that BuildKit reports has no end');
    if (isInside ? text !== '}' : !text.endsWith('}')) return;
    const status = parseStatus(this.#pending);
    this.#pending = '';
    if (status === undefined) return;
    for (const vertex of status.vertexes) this.#vertex(vertex);
    for (const { vertex, data } of status.logs) {
      const state = this.#states.get(vertex);
      if (state === undefined) continue;
      const piece = state.log.add(Buffer.from(data, 'base64'));
      if (state.started && !state.ended)
        this.#reporter.emit({ kind: 'log', id: state.id, text: piece });
    }
  }

  /** Ends what was going on when BuildKit stopped to say anything. */
  end(): void {
    for (const state of this.#states.values()) {
      if (state.started && !state.ended) this.#reporter.emit({ kind: 'failed', id: state.id });
      state.ended = true;
    }
  }

  #vertex({ digest, name, started, completed, cached = false, error = '' }: Vertex): void {
    if (!STEP.test(name)) return;
    let state = this.#states.get(digest);
    if (state === undefined) {
      const id = `${this.#name}:${this.#states.size + 1}`;
      state = { id, name, log: new Log(), started: false, ended: false };
      this.#states.set(digest, state);
    }
    if (state.ended) return;
    if (!state.started && (started != null || completed != null)) {
      state.started = true;
      this.#reporter.emit({ kind: 'start', id: state.id, title: state.name });
    }
    if (error !== '') {
      state.ended = true;
      if (state.started) this.#reporter.emit({ kind: 'failed', id: state.id });
      // Steps that go on beside it are cancelled, which is not why the build failed.
      if (!/context canceled/.test(error)) this.#failed ??= failedStep(state, error);
    } else if (completed != null) {
      state.ended = true;
      this.#reporter.emit({ kind: 'done', id: state.id, cached });
    }
  }
}

/** Text of a log that comes in pieces of bytes, and its end. */
class Log {
  readonly #decoder = new StringDecoder();
  text = '';

  add(piece: Buffer): string {
    const text = this.#decoder.write(piece);
    this.text = (this.text + text).slice(-KEPT);
    return text;
  }
}

function failedStep({ name, log }: State, error: string): FailedStep {
  const stage = STAGE.exec(name)?.[1]?.replace(/^\[/, '');
  return { stage, title: name.replace(STEP, ''), log: log.text.trimEnd(), error };
}

/** undefined for what is no status: then the program is another than it should be, and its exit says so. */
function parseStatus(text: string): SolveStatus | undefined {
  try {
    const status: unknown = JSON.parse(text);
    if (typeof status !== 'object' || status === null) return undefined;
    const { vertexes, logs } = status as Record<string, unknown>;
    return {
      vertexes: listOf(vertexes).filter(hasText('digest', 'name')) as unknown as Vertex[],
      logs: listOf(logs).filter(hasText('vertex', 'data')) as unknown as Piece[],
    };
  } catch {
    return undefined;
  }
}

function listOf(value: unknown): readonly Record<string, unknown>[] {
  return Array.isArray(value) ? value.filter(isObject) : [];
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

function hasText(...names: readonly string[]): (item: Record<string, unknown>) => boolean {
  return (item) => names.every((name) => typeof item[name] === 'string');
}
