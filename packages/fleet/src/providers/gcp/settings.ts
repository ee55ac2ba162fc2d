import {
  boolean,
  list,
  optional,
  record,
  required,
  text,
  withDefault,
  type YamlType,
} from '@lkt/core';

/** `providers.NAME.gcp`. */
export interface GcpSettings {
  readonly project: string;
  readonly location: GcpLocation;
  readonly bucket: string;
  readonly credentialsFile?: string;
  readonly endpoint?: string;
}

/** Where groups are: in one zone, or spread over zones of a region. */
export type GcpLocation = { readonly zone: string } | { readonly region: string };

/** `groups.NAME.gcp`. */
export interface GcpGroupSettings {
  readonly machineType: string;
  readonly zones: readonly string[];
  readonly network: string;
  readonly subnetwork?: string;
  readonly networkTags: readonly string[];
  readonly publicAddress: boolean;
  readonly healthCheck?: string;
}

const matching = (what: string, matches: RegExp): YamlType<string> =>
  text({ matches, problem: (given) => `"${given}" is not ${what}` });
const NAME = /^[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
const ZONE = matching('a zone', /^[a-z]+-[a-z]+\d{1,2}-[a-z]$/);

export const GCP_SETTINGS: YamlType<GcpSettings> = record({
  project: required(
    matching('the id of a project', /^[a-z][a-z0-9-]{4,28}[a-z0-9]$/),
    'id of the project',
  ),
  zone: optional(ZONE, 'zone of the nodes; either it or "region"'),
  region: optional(
    matching('a region', /^[a-z]+-[a-z]+\d{1,2}$/),
    'region over whose zones nodes are spread',
  ),
  bucket: required(
    matching('the name of a bucket', /^[a-z0-9][a-z0-9_.-]{1,61}[a-z0-9]$/),
    'bucket of Cloud Storage through which images become images of Compute Engine',
  ),
  credentialsFile: optional(
    text(),
    'key of a service account; default: GOOGLE_APPLICATION_CREDENTIALS, then the metadata server',
  ),
  endpoint: optional(
    matching('an http or https URL', /^https?:\/\/[\w.:[\]-]+$/),
    "URL of a server that stands in for Google's",
  ),
}).transform(({ zone, region, ...rest }, at) => {
  if (zone !== undefined && region === undefined) return { ...rest, location: { zone } };
  if (zone === undefined && region !== undefined) return { ...rest, location: { region } };
  throw at.error('give either zone or region');
});

export const GCP_GROUP_SETTINGS: YamlType<GcpGroupSettings> = record({
  machineType: required(
    matching('a machine type', /^[a-z][a-z0-9]{1,15}(?:-[a-z0-9]{1,16}){1,4}$/),
    'machine type, which decides processors and memory',
  ),
  zones: withDefault(list(ZONE), [], 'zones, in a region'),
  network: withDefault(matching('the name of a network', NAME), 'default', 'VPC network'),
  subnetwork: optional(
    matching('the name of a subnetwork', NAME),
    "subnetwork; default: the region's",
  ),
  networkTags: withDefault(
    list(matching('a network tag', NAME)),
    [],
    'network tags, to which firewall rules refer',
  ),
  publicAddress: withDefault(
    boolean,
    false,
    'give nodes a public address, at which the controller reaches them',
  ),
  healthCheck: optional(
    matching('the name of a health check', NAME),
    'global health check that decides, and by which Google repairs nodes; default: their state',
  ),
});
