import { formatYaml } from '@lkt/core';
import { plainConfig, type SystemConfig } from '../config/config.ts';
import { type GoValue, goJson } from '../go-json.ts';

/**
 * Formats the merged config for `metadata`: as LinuxKit's JSON byte for byte, or as YAML that is an
 * image config.
 */
export function metadataOf(config: SystemConfig, format: 'json' | 'yaml'): string {
  const plain = plainConfig(config);
  if (format === 'yaml') return formatYaml(asYaml(plain));
  // Go writes an empty list as null here.
  const sections = Object.entries(plain).map(([key, value]) => [
    key,
    Array.isArray(value) && value.length === 0 ? null : value,
  ]);
  return goJson(Object.fromEntries(sections) as GoValue);
}

/** Formats like Go's YAML: all keys of mounts, no empty mappings. */
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
