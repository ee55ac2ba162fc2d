/** A queue ordered by time; values of equal time keep their order of insertion. */
export class EventQueue<T> {
  readonly #heap: { readonly time: number; readonly order: number; readonly value: T }[] = [];
  #order = 0;

  /** Time of the first value; undefined if the queue is empty. */
  get nextTime(): number | undefined {
    return this.#heap[0]?.time;
  }

  push(time: number, value: T): void {
    const heap = this.#heap;
    heap.push({ time, order: this.#order, value });
    this.#order += 1;
    for (let at = heap.length - 1; at > 0;) {
      const parent = (at - 1) >> 1;
      if (!this.#isBefore(at, parent)) break;
      this.#swap(at, parent);
      at = parent;
    }
  }

  /** Removes and returns the first value up to a time; undefined without one. */
  take(until: number): T | undefined {
    const heap = this.#heap;
    const [first] = heap;
    if (first === undefined || first.time > until) return undefined;
    const last = heap.pop();
    if (heap.length > 0 && last !== undefined) {
      heap[0] = last;
      this.#sink();
    }
    return first.value;
  }

  #sink(): void {
    const { length } = this.#heap;
    for (let at = 0; ;) {
      let least = at;
      for (const child of [2 * at + 1, 2 * at + 2])
        if (child < length && this.#isBefore(child, least)) least = child;
      if (least === at) return;
      this.#swap(at, least);
      at = least;
    }
  }

  #isBefore(a: number, b: number): boolean {
    const [one, other] = [this.#heap[a], this.#heap[b]];
    if (one === undefined || other === undefined) return false;
    return one.time < other.time || (one.time === other.time && one.order < other.order);
  }

  #swap(a: number, b: number): void {
    const [one, other] = [this.#heap[a], this.#heap[b]];
    if (one === undefined || other === undefined) return;
    this.#heap[a] = other;
    this.#heap[b] = one;
  }
}
