/**
 * Shares a budget among tasks. A task takes its part when the budget has room for it, or when it is
 * alone, even if it needs more than all.
 */
export class Room {
  readonly #budget: number;
  readonly #waiting = new Map<() => void, number>();
  #taken = 0;
  #tasks = 0;

  constructor(budget: number) {
    this.#budget = budget;
  }

  /** Waits for room, and returns it; dispose it to give it back. Smaller tasks may come first. */
  async take(amount: number): Promise<Disposable> {
    if (this.#hasRoom(amount)) this.#enter(amount);
    else await new Promise<void>((resolve) => this.#waiting.set(resolve, amount));
    return {
      [Symbol.dispose]: () => {
        this.#tasks -= 1;
        this.#taken -= amount;
        this.#admit();
      },
    };
  }

  #hasRoom(amount: number): boolean {
    return this.#tasks === 0 || this.#taken + amount <= this.#budget;
  }

  #enter(amount: number): void {
    this.#tasks += 1;
    this.#taken += amount;
  }

  #admit(): void {
    for (const [resolve, amount] of this.#waiting) {
      if (!this.#hasRoom(amount)) continue;
      this.#waiting.delete(resolve);
      this.#enter(amount);
      resolve();
    }
  }
}
