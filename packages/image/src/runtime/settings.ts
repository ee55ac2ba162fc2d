import type { Settings } from '@lkt/pkg';
import type { ImageDefaults } from './image-defaults.ts';

/**
 * Merges the settings of a container. A field of the image config replaces that of the label, even
 * by an empty list, but not by an empty text. `.add` appends to the label's list unless the config
 * sets the list itself. `command`, `env` and `cwd` fall back to the image's own config.
 */
export function mergeSettings(own: Settings, { label, config }: ImageDefaults): Settings {
  const runtime = { ...label.runtime, ...own.runtime };
  const bindNS = { ...label.runtime?.bindNS, ...own.runtime?.bindNS };
  return {
    ...label,
    ...withoutEmptyText(own),
    capabilities: own.capabilities ?? joined(label.capabilities, own.capabilitiesAdd),
    binds: own.binds ?? joined(label.binds, own.bindsAdd),
    command: own.command ?? label.command ?? [...(config.Entrypoint ?? []), ...(config.Cmd ?? [])],
    env: own.env ?? label.env ?? config.Env ?? [],
    cwd: firstText(own.cwd, label.cwd, config.WorkingDir, '/'),
    runtime: { ...runtime, bindNS },
  };
}

function joined<T>(base: readonly T[] | undefined, added: readonly T[] | undefined): readonly T[] {
  return [...(base ?? []), ...(added ?? [])];
}

function withoutEmptyText(settings: Settings): Settings {
  return Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== ''));
}

function firstText(...candidates: readonly (string | undefined)[]): string {
  return candidates.find((text) => text !== undefined && text !== '') ?? '';
}
