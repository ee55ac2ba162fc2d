import { formatYaml } from '@lkt/core';
import { plainConfig, type SystemConfig } from '../config/config.ts';
import { type GoValue, goJson } from '../go-json.ts';

/**
 * The merged config, for a file with `metadata`: JSON byte for byte as LinuxKit writes it, or the same data as YAML, which
 * is an image config again.
 */
export function metadataOf(config: SystemConfig, format: 'json' | 'yaml'): string {
  const plain = plainConfig(config);
  if (format === 'yaml') return formatYaml(asYaml(plain));
  // Go has no empty lists here, but none.
  const sections = Object.entries(plain).map(([key, value]) => [
    key,
    Array.isArray(value) && value.length === 0 ? null : value,
  ]);
  return goJson(Object.fromEntries(sections) as GoValue);
}

/** As Go's YAML has it: mounts with all their keys, and no mappings with nothing in them. */
function asYaml(value: unknown, key = ''): unknown {
  if (Array.isArray(value))
    return value.map((item) => (key === 'mounts' ? mount(item) : asYaml(item)));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .map(([name, item]) => [name, asYaml(item, name)] as const)
      .filter(([, item]) => item !== undefined && !isEmptyMapping(item)),
  );
}

function mount(item: unknown): unknown {
  const { destination, type, source, options, uidMappings, gidMappings } = item as Readonly<
    Record<string, unknown>
  >;
  return {
    destination,
    type: type ?? '',
    source: source ?? '',
    options: options ?? [],
    uidmappings: uidMappings ?? [],
    gidmappings: gidMappings ?? [],
  };
}

function isEmptyMapping(value: unknown): boolean {
  return (
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    Object.keys(value).length === 0
  );
}
