import type { ServerResponse } from 'node:http';
import { ApiError } from './api-error.ts';

/** Maximum bytes of all buffered bodies and documents. */
const MAX_BYTES = 128 * 2 ** 20;
/** A request of fewer bytes always succeeds. The number of connections bounds these. */
const MIN_COUNTED_BYTES = 64 * 1024;

/**
 * The memory of bodies that arrive and documents that are sent, which slow clients could hold in
 * any number.
 */
export class BufferMemory {
  #free = MAX_BYTES;
  readonly #held = new Map<ServerResponse, number>();

  /**
   * Counts the bytes that a request holds until its response is closed.
   * @param bytes all that it holds
   * @throws ApiError 429 if other requests hold too much
   */
  hold(response: ServerResponse, bytes: number): void {
    // A closed response does not report it again.
    if (bytes < MIN_COUNTED_BYTES || response.destroyed) return;
    const before = this.#held.get(response);
    const added = bytes - (before ?? 0);
    if (added <= 0) return;
    if (added > this.#free)
      throw new ApiError(429, 'TOOMANYREQUESTS', 'too many large documents are in transfer', {
        'retry-after': '10',
      });
    this.#free -= added;
    this.#held.set(response, bytes);
    if (before === undefined) response.once('close', () => this.#release(response));
  }

  #release(response: ServerResponse): void {
    this.#free += this.#held.get(response) ?? 0;
    this.#held.delete(response);
  }
}
