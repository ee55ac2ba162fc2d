import {
  choice,
  list,
  optional,
  record,
  required,
  text,
  withDefault,
  type YamlType,
} from '@lkt/core';

/** `providers.NAME.openstack`. */
export interface OpenStackSettings {
  readonly authUrl: string;
  readonly region: string;
  readonly interface: 'public' | 'internal';
  readonly caFile?: string;
}

/** `groups.NAME.openstack`. */
export interface OpenStackGroupSettings {
  readonly flavor: string;
  readonly network: string;
  readonly securityGroups: readonly string[];
  readonly availabilityZone?: string;
}

const matching = (what: string, matches: RegExp): YamlType<string> =>
  text({ matches, problem: (given) => `"${given}" is not ${what}` });

export const OPENSTACK_SETTINGS: YamlType<OpenStackSettings> = record({
  authUrl: required(
    matching(
      'an https URL of Keystone',
      /^(?:https:\/\/[\w.-]+|http:\/\/127\.0\.0\.1)(?::\d{1,5})?(?:\/[\w./-]*)?\/v3$/,
    ),
    'URL of Keystone: https://HOST/v3',
  ),
  region: required(matching('the name of a region', /^[\w.-]{1,64}$/), 'region of the nodes'),
  interface: withDefault(choice('public', 'internal'), 'public', 'which endpoints are used'),
  caFile: optional(text(), 'PEM file with the certificates that the cloud is verified by'),
});

export const OPENSTACK_GROUP_SETTINGS: YamlType<OpenStackGroupSettings> = record({
  flavor: required(
    matching('the id of a flavor', /^[\w.-]{1,64}$/),
    'id of a flavor, which decides processors and memory',
  ),
  network: required(
    matching('the id of a network', /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/),
    'id of the network',
  ),
  securityGroups: withDefault(
    list(matching('the name of a security group', /^[\w.-]{1,64}$/)),
    ['default'],
    'security groups',
  ),
  availabilityZone: optional(
    matching('the name of an availability zone', /^[\w.-]{1,64}$/),
    "availability zone; default: the cloud's choice",
  ),
});
