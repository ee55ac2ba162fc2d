import { list, optional, record, required, text, withDefault, type YamlType } from '@lkt/core';

/** `providers.NAME.azure`. */
export interface AzureSettings {
  readonly subscription: string;
  readonly resourceGroup: string;
  readonly region: string;
  readonly gallery: string;
  readonly imageDefinition: string;
  readonly endpoint?: string;
}

/** `groups.NAME.azure`. */
export interface AzureGroupSettings {
  readonly vmSize: string;
  readonly zones: readonly string[];
  readonly subnet: string;
  readonly securityGroup?: string;
  readonly loadBalancer: string;
  readonly backendPool: string;
  readonly healthProbe: string;
}

const matching = (what: string, matches: RegExp): YamlType<string> =>
  text({ matches, problem: (given) => `"${given}" is not ${what}` });
const NAME = /^[A-Za-z0-9_](?:[\w.-]{0,78}\w)?$/;
const named = (what: string): YamlType<string> => matching(`the name of ${what}`, NAME);

export const AZURE_SETTINGS: YamlType<AzureSettings> = record({
  subscription: required(
    matching('the id of a subscription', /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/),
    'id of the subscription',
  ),
  resourceGroup: required(
    named('a resource group'),
    'resource group of the scale sets, and of the network and the gallery',
  ),
  region: required(matching('a region', /^[a-z]{2,30}\d{0,2}$/), 'region of the nodes'),
  gallery: required(named('a gallery'), 'compute gallery of the images'),
  imageDefinition: required(
    named('an image definition'),
    'image definition of the gallery, for specialized Linux, of which each image is a version',
  ),
  endpoint: optional(
    matching('an http or https URL', /^https?:\/\/[\w.:[\]-]+$/),
    "URL of a server that stands in for Azure's",
  ),
});

export const AZURE_GROUP_SETTINGS: YamlType<AzureGroupSettings> = record({
  vmSize: required(
    matching('a size of virtual machines', /^[A-Z][A-Za-z]{2,15}(?:_[A-Za-z0-9-]{1,24}){1,4}$/),
    'size of virtual machines, which decides processors and memory',
  ),
  zones: withDefault(
    list(matching('the number of a zone', /^[1-9]$/)),
    [],
    'zones over which nodes are spread: ["1", "2", "3"]',
  ),
  subnet: required(
    matching('NETWORK/SUBNET', /^\w[\w.-]{0,63}\/\w[\w.-]{0,79}$/),
    'virtual network and subnet: NETWORK/SUBNET',
  ),
  securityGroup: optional(named('a network security group'), 'network security group'),
  loadBalancer: required(named('a load balancer'), 'load balancer in front of the nodes'),
  backendPool: required(named('a backend pool'), 'its pool, to which nodes belong'),
  healthProbe: required(
    named('a health probe'),
    'its probe, which decides, and by which Azure repairs nodes',
  ),
});
