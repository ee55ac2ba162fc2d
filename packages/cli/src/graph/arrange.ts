/** A place in a column of a graph: a box, or a lane for the edges that pass the column. */
export interface Slot {
  /** With the distance to its neighbours. */
  readonly height: number;
  middle: number;
  /** The slots in the columns beside it that an edge joins to it. */
  readonly left: Slot[];
  readonly right: Slot[];
}

const ROUNDS = 12;

/**
 * Orders each column, and places its slots without overlap, near the slots that edges join to them.
 * This keeps edges short, and few of them cross.
 */
export function arrange(columns: readonly Slot[][]): void {
  for (const column of columns) place(column, () => 0);
  for (let round = 0; round < ROUNDS; round += 1) {
    const isToRight = round % 2 === 0;
    for (const column of isToRight ? columns : columns.toReversed()) {
      const wanted = new Map(
        column.map((slot) => [slot, meanOf(isToRight ? slot.left : slot.right) ?? slot.middle]),
      );
      column.sort((a, b) => (wanted.get(a) ?? 0) - (wanted.get(b) ?? 0));
      place(column, (slot) => wanted.get(slot) ?? 0);
    }
  }
  for (const column of columns)
    place(column, (slot) => meanOf([...slot.left, ...slot.right]) ?? slot.middle);
}

function meanOf(slots: readonly Slot[]): number | undefined {
  if (slots.length === 0) return undefined;
  return slots.reduce((sum, { middle }) => sum + middle, 0) / slots.length;
}

/**
 * Places the slots of a column in their order, as near as possible to where each is wanted: an
 * isotonic regression, by pooling adjacent violators.
 */
function place(column: readonly Slot[], wanted: (slot: Slot) => number): void {
  const pools: { mean: number; readonly slots: Slot[] }[] = [];
  const offsets = new Map<Slot, number>();
  let end = 0;
  for (const slot of column) {
    const offset = end + slot.height / 2;
    end += slot.height;
    offsets.set(slot, offset);
    let pool = { mean: wanted(slot) - offset, slots: [slot] };
    for (
      let last = pools.at(-1);
      last !== undefined && last.mean > pool.mean;
      last = pools.at(-1)
    ) {
      pools.pop();
      const [before, after] = [last.slots.length, pool.slots.length];
      const mean = (last.mean * before + pool.mean * after) / (before + after);
      pool = { mean, slots: [...last.slots, ...pool.slots] };
    }
    pools.push(pool);
  }
  for (const { mean, slots } of pools)
    for (const slot of slots) slot.middle = mean + (offsets.get(slot) ?? 0);
}
