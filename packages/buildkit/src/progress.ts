import { StringDecoder } from 'node:string_decoder';
import { LktError, type Reporter } from '@lkt/core';
import type { Step } from '@lkt/dockerfile';
import { Redactor, SecretFinder } from '@lkt/builder';
import { type Piece, parseStatus, type Transfer, type Vertex } from './solve-status.ts';
import type { VertexMeaning, VertexNames } from './vertex-names.ts';

interface State extends VertexMeaning {
  readonly log: Log;
  /** How far each part of a transfer is. */
  readonly parts: Map<string, Transfer>;
  started: boolean;
  ended: boolean;
}

/** Of the log of a step that fails, what is kept for the error. */
const KEPT = 8192;
/** A log comes in pieces of 32 KiB. */
const MAX_OBJECT = 16 * 2 ** 20;

/** The step of a Dockerfile that failed. */
export interface FailedStep {
  readonly step: Step;
  readonly log: string;
  readonly error: string;
}

/** Makes events of what BuildKit says it does, and keeps what an error needs. */
export class BuildProgress {
  readonly #names: Pick<VertexNames, 'meaning'>;
  readonly #reporter: Reporter;
  readonly #finder: SecretFinder;
  /** By the digest of the vertex. One step may be several. */
  readonly #vertexes = new Map<string, State>();
  readonly #states = new Map<string, State>();
  #failed: FailedStep | undefined;
  #other = '';
  #pending = '';

  /** @param finder of secrets, which are taken out of logs */
  constructor(
    names: Pick<VertexNames, 'meaning'>,
    reporter: Reporter,
    finder: SecretFinder = new SecretFinder(new Map()),
  ) {
    this.#names = names;
    this.#finder = finder;
    this.#reporter = reporter;
  }

  get failed(): FailedStep | undefined {
    return this.#failed;
  }

  /** The end of what was not progress: messages of the program. */
  get complaint(): string {
    const redactor = new Redactor(this.#finder);
    return (redactor.add(this.#other) + redactor.end()).trim();
  }

  /** A line of what the program writes: buildctl and buildx spread an object over many, or write one a line. */
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
    for (const transfer of status.statuses) this.#transfer(transfer);
    for (const piece of status.logs) this.#log(piece);
  }

  /** Ends what was going on when BuildKit stopped to say anything. */
  end(succeeded: boolean): void {
    for (const state of this.#states.values()) {
      if (state.started && !state.ended)
        this.#reporter.emit(
          succeeded
            ? { kind: 'done', id: state.id, cached: false }
            : { kind: 'failed', id: state.id },
        );
      state.ended = true;
    }
  }

  #vertex({ digest, name, started, completed, cached = false, error = '' }: Vertex): void {
    const state = this.#state(digest, name);
    if (state === undefined || state.ended) return;
    const isStep = state.step !== undefined;
    // What is sent is shown when something is: most builds send nothing.
    if (isStep && (started != null || completed != null)) this.#start(state);
    if (error !== '' || (completed != null && state.started)) this.#say(state, state.log.end());
    if (error !== '') {
      state.ended = true;
      // Steps that go on beside it are cancelled, which is not why the build failed.
      const stopped = error.includes('context canceled');
      if (state.started)
        this.#reporter.emit({ kind: 'failed', id: state.id, ...(stopped && { stopped }) });
      if (state.step !== undefined && !stopped)
        this.#failed ??= { step: state.step, log: state.log.text.trimEnd(), error };
    } else if (completed != null && state.started) {
      state.ended = true;
      this.#reporter.emit({ kind: 'done', id: state.id, cached });
    }
  }

  #transfer(transfer: Transfer): void {
    const state = this.#vertexes.get(transfer.vertex);
    if (state === undefined || state.ended || state.step !== undefined) return;
    state.parts.set(transfer.id, transfer);
    const parts = [...state.parts.values()];
    const current = sum(parts.map((part) => part.current));
    if (current === 0) return;
    this.#start(state);
    const total = sum(parts.map((part) => part.total ?? 0));
    const isTotalKnown = parts.every((part) => (part.total ?? 0) > 0) && total >= current;
    this.#reporter.emit({
      kind: 'progress',
      id: state.id,
      current,
      total: isTotalKnown ? total : undefined,
      unit: 'bytes',
    });
  }

  #log({ vertex, data }: Piece): void {
    const state = this.#vertexes.get(vertex);
    if (state === undefined) return;
    this.#say(state, state.log.add(Buffer.from(data, 'base64')));
  }

  #say(state: State, text: string): void {
    if (text !== '' && state.started && !state.ended)
      this.#reporter.emit({ kind: 'log', id: state.id, text });
  }

  #start(state: State): void {
    if (state.started) return;
    state.started = true;
    this.#reporter.emit({ kind: 'start', id: state.id, title: state.title });
  }

  #state(digest: string, name: string): State | undefined {
    const known = this.#vertexes.get(digest);
    if (known !== undefined) return known;
    const meaning = this.#names.meaning(name);
    if (meaning === undefined) return undefined;
    let state = this.#states.get(meaning.id);
    if (state === undefined) {
      state = {
        ...meaning,
        log: new Log(this.#finder),
        parts: new Map(),
        started: false,
        ended: false,
      };
      this.#states.set(meaning.id, state);
    }
    this.#vertexes.set(digest, state);
    return state;
  }
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

/** Text of a log that comes in pieces of bytes, and its end. */
class Log {
  readonly #decoder = new StringDecoder();
  readonly #redactor: Redactor;
  text = '';

  constructor(finder: SecretFinder) {
    this.#redactor = new Redactor(finder);
  }

  add(piece: Buffer): string {
    return this.#keep(this.#redactor.add(this.#decoder.write(piece)));
  }

  /** What waited for more. */
  end(): string {
    return this.#keep(this.#redactor.end());
  }

  #keep(text: string): string {
    this.text = (this.text + text).slice(-KEPT);
    return text;
  }
}
