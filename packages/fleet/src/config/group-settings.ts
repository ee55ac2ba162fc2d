import type { YamlValue } from '@lkt/core';
import { PROVIDER_KINDS } from '../providers/kinds.ts';
import type { ConfiguredProvider } from './fleet-yml.ts';

/** A group's name, the name of its provider and its keys. */
interface Given {
  readonly name: string;
  readonly provider: string;
  readonly keys: Readonly<Record<string, unknown>>;
}

/**
 * Returns the settings of a group for the kind of its provider; undefined without any.
 * @throws CONFIG_INVALID for settings that the kind needs and the group lacks, or of another kind
 */
export function groupSettingsOf(
  { name, provider, keys }: Given,
  { kind }: ConfiguredProvider,
  at: YamlValue,
): unknown {
  for (const other of PROVIDER_KINDS)
    if (other.kind !== kind.kind && keys[other.kind] !== undefined)
      throw (at.entries().get(other.kind) ?? at).error(
        `the provider ${provider} is of the kind ${kind.kind}`,
        { fix: `remove ${other.kind}, or write ${kind.kind}` },
      );
  const settings = keys[kind.kind];
  if (settings === undefined && kind.neededSettings !== undefined)
    throw at.error(`the group ${name} has no settings for ${kind.kind}`, {
      fix: `add: ${kind.neededSettings}`,
    });
  return settings;
}
