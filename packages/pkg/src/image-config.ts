// The fields of a container that a package can set for whoever runs it: `config` in build.yml, the label
// `org.mobyproject.config` in the image. Names, order and emptiness follow the Go structs of LinuxKit and of
// opencontainers/runtime-spec, so that the label is byte for byte LinuxKit's.

import type { YamlValue } from '@lkt/core';
import { type Field, readShape, type Shape } from './shape.ts';

/** Checked plain data, its keys in the order in which the label has them. */
export type ImageRuntimeConfig = Readonly<Record<string, unknown>>;

/** The image label that carries an {@link ImageRuntimeConfig} as JSON. */
export const CONFIG_LABEL = 'org.mobyproject.config';

/** @throws LktError CONFIG_INVALID at the place of an unknown key or a value of the wrong type. */
export function parseImageRuntimeConfig(value: YamlValue): ImageRuntimeConfig {
  return readShape(value, { fields: CONTAINER }) as ImageRuntimeConfig;
}

/** The text of the label: JSON as Go's `json.Marshal` writes it, with `<`, `>`, `&`, U+2028 and U+2029 escaped. */
export function imageConfigLabel(config: ImageRuntimeConfig): string {
  return JSON.stringify(config).replaceAll(
    /[<>&\u2028\u2029]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

const STRINGS: Shape = { list: 'string' };

const ID_MAPPINGS: Shape = {
  list: {
    fields: [
      { name: 'containerID', shape: 'integer', keep: 'always' },
      { name: 'hostID', shape: 'integer', keep: 'always' },
      { name: 'size', shape: 'integer', keep: 'always' },
    ],
  },
};

const MOUNTS: Shape = {
  list: {
    fields: [
      { name: 'destination', shape: 'string', keep: 'always' },
      { name: 'type', shape: 'string', keep: 'value' },
      { name: 'source', shape: 'string', keep: 'value' },
      { name: 'options', shape: STRINGS, keep: 'value' },
      { name: 'uidMappings', shape: ID_MAPPINGS, keep: 'value' },
      { name: 'gidMappings', shape: ID_MAPPINGS, keep: 'value' },
    ],
  },
};

const DEVICES: Shape = {
  list: {
    fields: [
      { name: 'path', shape: 'string', keep: 'always' },
      { name: 'type', shape: 'string', keep: 'always' },
      { name: 'major', shape: 'integer', keep: 'always' },
      { name: 'minor', shape: 'integer', keep: 'always' },
      { name: 'mode', shape: 'string', keep: 'value' },
    ],
  },
};

const THROTTLE: Shape = {
  list: {
    fields: [
      { name: 'major', shape: 'integer', keep: 'always' },
      { name: 'minor', shape: 'integer', keep: 'always' },
      { name: 'rate', shape: 'integer', keep: 'always' },
    ],
  },
};

const RESOURCES: Shape = {
  fields: [
    {
      name: 'devices',
      keep: 'value',
      shape: {
        list: {
          fields: [
            { name: 'allow', shape: 'boolean', keep: 'always' },
            { name: 'type', shape: 'string', keep: 'value' },
            { name: 'major', shape: 'integer' },
            { name: 'minor', shape: 'integer' },
            { name: 'access', shape: 'string', keep: 'value' },
          ],
        },
      },
    },
    {
      name: 'memory',
      shape: {
        fields: [
          ...fields('integer', 'limit', 'reservation', 'swap', 'kernel', 'kernelTCP', 'swappiness'),
          { name: 'disableOOMKiller', shape: 'boolean' },
        ],
      },
    },
    {
      name: 'cpu',
      shape: {
        fields: [
          ...fields('integer', 'shares', 'quota', 'period', 'realtimeRuntime', 'realtimePeriod'),
          { name: 'cpus', shape: 'string', keep: 'value' },
          { name: 'mems', shape: 'string', keep: 'value' },
        ],
      },
    },
    { name: 'pids', shape: { fields: [{ name: 'limit', shape: 'integer', keep: 'always' }] } },
    {
      // Go would write `blockIO` here, which LinuxKit's own reader of the label then refuses.
      name: 'blockio',
      shape: {
        fields: [
          ...fields('integer', 'weight', 'leafWeight'),
          {
            name: 'weightDevice',
            keep: 'value',
            shape: {
              list: {
                fields: [
                  { name: 'major', shape: 'integer', keep: 'always' },
                  { name: 'minor', shape: 'integer', keep: 'always' },
                  ...fields('integer', 'weight', 'leafWeight'),
                ],
              },
            },
          },
          { name: 'throttleReadBpsDevice', shape: THROTTLE, keep: 'value' },
          { name: 'throttleWriteBpsDevice', shape: THROTTLE, keep: 'value' },
          { name: 'throttleReadIOPSDevice', shape: THROTTLE, keep: 'value' },
          { name: 'throttleWriteIOPSDevice', shape: THROTTLE, keep: 'value' },
        ],
      },
    },
    {
      name: 'hugepageLimits',
      keep: 'value',
      shape: {
        list: {
          fields: [
            { name: 'pageSize', shape: 'string', keep: 'always' },
            { name: 'limit', shape: 'integer', keep: 'always' },
          ],
        },
      },
    },
    {
      name: 'network',
      shape: {
        fields: [
          { name: 'classID', shape: 'integer' },
          {
            name: 'priorities',
            keep: 'value',
            shape: {
              list: {
                fields: [
                  { name: 'name', shape: 'string', keep: 'always' },
                  { name: 'priority', shape: 'integer', keep: 'always' },
                ],
              },
            },
          },
        ],
      },
    },
  ],
};

const RUNTIME: Shape = {
  fields: [
    { name: 'cgroups', shape: STRINGS },
    { name: 'mounts', shape: MOUNTS },
    { name: 'mkdir', shape: STRINGS },
    {
      name: 'interfaces',
      shape: {
        list: {
          fields: [
            { name: 'name', shape: 'string', keep: 'value' },
            { name: 'add', shape: 'string', keep: 'value' },
            { name: 'peer', shape: 'string', keep: 'value' },
            { name: 'createInRoot', shape: 'boolean', keep: 'always' },
          ],
        },
      },
    },
    {
      name: 'bindNS',
      keep: 'always',
      shape: { fields: fields('string', 'cgroup', 'ipc', 'mnt', 'net', 'pid', 'user', 'uts') },
    },
    { name: 'namespace', shape: 'string' },
  ],
};

const CONTAINER: readonly Field[] = [
  ...fields(STRINGS, 'capabilities', 'capabilities.add', 'ambient'),
  { name: 'mounts', shape: MOUNTS },
  ...fields(STRINGS, 'binds', 'binds.add'),
  { name: 'devices', shape: DEVICES },
  ...fields(STRINGS, 'tmpfs', 'command', 'env'),
  ...['cwd', 'net', 'pid', 'ipc', 'uts', 'userns', 'hostname'].map((name): Field => ({
    name,
    shape: 'string',
    keep: 'value',
  })),
  { name: 'readonly', shape: 'boolean' },
  ...fields(STRINGS, 'maskedPaths', 'readonlyPaths'),
  ...fields('id', 'uid', 'gid'),
  { name: 'additionalGids', shape: { list: 'id' } },
  { name: 'noNewPrivileges', shape: 'boolean' },
  { name: 'oomScoreAdj', shape: 'integer' },
  ...fields('string', 'rootfsPropagation', 'cgroupsPath'),
  { name: 'resources', shape: RESOURCES },
  { name: 'sysctl', shape: 'string map' },
  { name: 'rlimits', shape: STRINGS },
  ...fields(ID_MAPPINGS, 'uidMappings', 'gidMappings'),
  { name: 'annotations', shape: 'string map' },
  { name: 'runtime', shape: RUNTIME },
];

function fields(shape: Shape, ...names: readonly string[]): Field[] {
  return names.map((name) => ({ name, shape }));
}
