import { StringDecoder } from 'node:string_decoder';
import { LktError, type Reporter } from '@lkt/core';
import type { Step } from '@lkt/dockerfile';
import { Redactor, SecretFinder } from '@lkt/builder';
import { type LogChunk, parseStatus, type Transfer, type Vertex } from './solve-status.ts';
import type { VertexInfo, VertexNames } from './vertex-names.ts';

interface State extends VertexInfo {
  readonly log: Log;
  /** The state of each part of a transfer. */
  readonly parts: Map<string, Transfer>;
  started: boolean;
  ended: boolean;
}

/** The length of the log end that an error shows. */
const MAX_LOG_LENGTH = 8192;
/** Maximum length of a message. BuildKit splits logs into pieces of 32 KiB. */
const MAX_MESSAGE_LENGTH = 16 * 2 ** 20;

/** The step of a Dockerfile that failed. */
export interface FailedStep {
  readonly step: Step;
  readonly log: string;
  readonly error: string;
}

/** Turns BuildKit's progress into events, and keeps the failed step and its log. */
export class BuildProgress {
  readonly #names: Pick<VertexNames, 'describe'>;
  readonly #reporter: Reporter;
  readonly #finder: SecretFinder;
  /** By the digest of the vertex. Several vertexes can belong to one step. */
  readonly #vertexes = new Map<string, State>();
  readonly #states = new Map<string, State>();
  #failed: FailedStep | undefined;
  #other = '';
  #pending = '';

  /** @param finder finds secrets, which are removed from logs */
  constructor(
    names: Pick<VertexNames, 'describe'>,
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

  /** The last messages of the program that are not progress. */
  get messages(): string {
    const redactor = new Redactor(this.#finder);
    return (redactor.add(this.#other) + redactor.end()).trim();
  }

  /**
   * Reads a line of the program's output. buildctl and buildx write an object on one or on several
   * lines.
   * @throws IMAGE_INVALID for a message over 16 MiB
   */
  line(text: string): void {
    const isInside = this.#pending !== '';
    if (!isInside && !text.startsWith('{')) {
      this.#other = `${this.#other}${text}\n`.slice(-MAX_LOG_LENGTH);
      return;
    }
    this.#pending += text;
    if (this.#pending.length > MAX_MESSAGE_LENGTH)
      throw new LktError('IMAGE_INVALID', 'a progress message of BuildKit is larger than 16 MiB');
    if (isInside ? text !== '}' : !text.endsWith('}')) return;
    const status = parseStatus(this.#pending);
    this.#pending = '';
    if (status === undefined) return;
    for (const vertex of status.vertexes) this.#vertex(vertex);
    for (const transfer of status.statuses) this.#transfer(transfer);
    for (const piece of status.logs) this.#log(piece);
  }

  /** Ends all open steps when BuildKit stops reporting. */
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
    // A transfer starts with its first bytes: most builds transfer nothing.
    if (isStep && (started != null || completed != null)) this.#start(state);
    if (error !== '' || (completed != null && state.started)) this.#say(state, state.log.end());
    if (error !== '') {
      state.ended = true;
      // BuildKit cancels parallel steps; that is not the cause of the failure.
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

  #log({ vertex, data }: LogChunk): void {
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
    const info = this.#names.describe(name);
    if (info === undefined) return undefined;
    let state = this.#states.get(info.id);
    if (state === undefined) {
      state = {
        ...info,
        log: new Log(this.#finder),
        parts: new Map(),
        started: false,
        ended: false,
      };
      this.#states.set(info.id, state);
    }
    this.#vertexes.set(digest, state);
    return state;
  }
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

/** Decodes a log from chunks of bytes, and keeps its end. */
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

  /** Returns the text that waited for more bytes. */
  end(): string {
    return this.#keep(this.#redactor.end());
  }

  #keep(text: string): string {
    this.text = (this.text + text).slice(-MAX_LOG_LENGTH);
    return text;
  }
}
