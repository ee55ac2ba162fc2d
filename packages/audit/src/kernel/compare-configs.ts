import type { KernelConfig } from './facts.ts';

/** What another version of the kernel makes of the same wishes. */
export interface ConfigChanges {
  /** Symbols that are set and were not. */
  readonly gained: readonly { readonly symbol: string; readonly value: string }[];
  /** Symbols that were set and are not. */
  readonly lost: readonly { readonly symbol: string; readonly value: string }[];
  readonly changed: readonly {
    readonly symbol: string;
    readonly from: string;
    readonly to: string;
  }[];
  /** Questions that are new and have the answer no: whoever writes the fragments may want another one. */
  readonly offered: readonly string[];
}

/** Compares two configurations, by the names of their symbols. */
export function compareKernelConfigs(before: KernelConfig, after: KernelConfig): ConfigChanges {
  const gained: { symbol: string; value: string }[] = [];
  const changed: { symbol: string; from: string; to: string }[] = [];
  for (const [symbol, value] of sorted(after.symbols)) {
    const from = before.symbols.get(symbol);
    if (from === undefined) gained.push({ symbol, value });
    else if (from !== value) changed.push({ symbol, from, to: value });
  }
  const lost = sorted(before.symbols)
    .filter(([symbol]) => !after.symbols.has(symbol))
    .map(([symbol, value]) => ({ symbol, value }));
  const offered = [...after.unset]
    .filter((symbol) => !before.unset.has(symbol) && !before.symbols.has(symbol))
    .toSorted();
  return { gained, lost, changed, offered };
}

function sorted(symbols: ReadonlyMap<string, string>): readonly (readonly [string, string])[] {
  return [...symbols].toSorted(([a], [b]) => (a < b ? -1 : 1));
}
