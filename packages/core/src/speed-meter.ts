/** The minimum speed of a transfer, as curl's `--speed-limit` and `--speed-time`. */
export interface SpeedLimit {
  readonly bytesPerSecond: number;
  /** Milliseconds of waiting over which the speed is measured. */
  readonly time: number;
}

/** Slow enough for any usable connection, fast enough to end a peer that only trickles. */
export const MIN_SPEED: SpeedLimit = { bytesPerSecond: 1024, time: 60_000 };

/** Measures how fast bytes arrive. Only the time spent waiting for them counts. */
export class SpeedMeter {
  readonly #limit: SpeedLimit;
  #bytes = 0;
  #waited = 0;

  constructor(limit: SpeedLimit) {
    this.#limit = limit;
  }

  /**
   * Counts bytes and the milliseconds of waiting for them. Returns false if the speed since the
   * last period that was fast enough is too low.
   */
  isFastEnough(bytes: number, waited: number): boolean {
    this.#bytes += bytes;
    this.#waited += waited;
    const { bytesPerSecond, time } = this.#limit;
    if (this.#waited < time) return true;
    if (this.#bytes * 1000 < bytesPerSecond * this.#waited) return false;
    this.#bytes = 0;
    this.#waited = 0;
    return true;
  }
}
