import type { KernelConfig } from './facts.ts';

/** The differences between the configurations of two kernel versions. */
export interface ConfigChanges {
  /** Symbols set in the new configuration only. */
  readonly gained: readonly { readonly symbol: string; readonly value: string }[];
  /** Symbols set in the old configuration only. */
  readonly lost: readonly { readonly symbol: string; readonly value: string }[];
  readonly changed: readonly {
    readonly symbol: string;
    readonly from: string;
    readonly to: string;
  }[];
  /** New symbols that are not set; the author of the config fragments may want to set some. */
  readonly offered: readonly string[];
}

/** Compares two configurations by symbol. */
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
