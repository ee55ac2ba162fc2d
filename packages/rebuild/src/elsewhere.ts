import { availableParallelism } from 'node:os';
import { type Surroundings, type WorkerPlace, WorkerProcess } from '@lkt/builder';
import { memoryForLayers, type OtherSurroundings, otherSurroundings } from './surroundings.ts';

const MOST_PLACES = 4;
/** Of memory for each: what the layers of most builds need. */
const ENOUGH_BYTES = 2 * 2 ** 30;

/**
 * Places in other surroundings, each on a processor of its own. The builds in one follow each other, and what they are on is
 * unpacked once for all: a worker stays there.
 */
export class Elsewhere implements AsyncDisposable {
  readonly #free: PlaceElsewhere[];
  readonly #all: readonly PlaceElsewhere[];
  readonly #waiting: ((place: PlaceElsewhere) => void)[] = [];

  /** @param builds how many may be wanted at once */
  constructor(builds: number) {
    const fit = Math.floor(memoryForLayers() / ENOUGH_BYTES);
    const count = Math.max(1, Math.min(builds, availableParallelism(), MOST_PLACES, fit));
    this.#all = Array.from({ length: count }, (_, index) => new PlaceElsewhere(index, count));
    this.#free = [...this.#all];
  }

  /** Lends a place, when there is one. */
  async lend<T>(build: (place: PlaceElsewhere) => Promise<T>): Promise<T> {
    const place =
      this.#free.shift() ??
      (await new Promise<PlaceElsewhere>((resolve) => this.#waiting.push(resolve)));
    try {
      return await build(place);
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free.unshift(place);
      else next(place);
    }
  }

  /** Ends the workers. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#all.map(async (place) => place[Symbol.asyncDispose]()));
  }
}

/** One of them. */
export class PlaceElsewhere implements AsyncDisposable {
  readonly #index: number;
  readonly #count: number;
  #surroundings: OtherSurroundings | undefined;
  #worker: WorkerProcess | undefined;

  constructor(index: number, count: number) {
    this.#index = index;
    this.#count = count;
  }

  get world(): Surroundings {
    return this.#known.world;
  }

  /** What could not be changed. */
  get notes(): readonly string[] {
    return this.#known.notes;
  }

  /** The worker, taken for one build. */
  async worker(around: Omit<WorkerPlace, 'world' | 'stays'>): Promise<WorkerProcess> {
    const place = { ...around, world: this.world, stays: true };
    const worker = this.#worker;
    if (worker !== undefined) {
      if (worker.take(place)) return worker;
      await worker[Symbol.asyncDispose]();
    }
    this.#worker = WorkerProcess.start(place);
    return this.#worker;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#worker?.[Symbol.asyncDispose]();
  }

  get #known(): OtherSurroundings {
    this.#surroundings ??= otherSurroundings(this.#index, this.#count);
    return this.#surroundings;
  }
}
