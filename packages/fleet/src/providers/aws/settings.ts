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

/** `providers.NAME.aws`. */
export interface AwsSettings {
  readonly region: string;
  readonly profile?: string;
  readonly endpoint?: string;
}

/** `groups.NAME.aws`. */
export interface AwsGroupSettings {
  readonly instanceType: string;
  readonly subnet?: string;
  readonly securityGroups: readonly string[];
  readonly publicAddress: boolean;
}

const matching = (what: string, matches: RegExp): YamlType<string> =>
  text({ matches, problem: (given) => `"${given}" is not ${what}` });

export const AWS_SETTINGS: YamlType<AwsSettings> = record({
  region: required(matching('a region', /^[a-z]{2}(?:-[a-z]+)+-\d$/), 'region of the nodes'),
  profile: optional(
    matching('the name of a profile', /^[\w.@-]{1,64}$/),
    "profile of AWS's configuration files; default: the SDK's search for credentials",
  ),
  endpoint: optional(
    matching('an http or https URL', /^https?:\/\/[\w.:[\]-]+$/),
    "URL of a server that stands in for AWS; default: the region's",
  ),
});

/** Fields of groups whose machines are EC2 instances. */
const instanceFields = {
  instanceType: required(
    matching('an instance type', /^[a-z0-9-]{1,32}\.[a-z0-9-]{1,32}$/),
    'instance type, which decides processors and memory',
  ),
  securityGroups: withDefault(
    list(matching('the id of a security group', /^sg-[0-9a-f]{8,17}$/)),
    [],
    'security groups; default: that of the VPC',
  ),
  publicAddress: withDefault(
    boolean,
    false,
    'give nodes a public address, at which the controller reaches them',
  ),
} as const;

const SUBNET = matching('the id of a subnet', /^subnet-[0-9a-f]{8,17}$/);

export const AWS_GROUP_SETTINGS: YamlType<AwsGroupSettings> = record({
  ...instanceFields,
  subnet: optional(SUBNET, "subnet; default: one of the default VPC's"),
});

/** `groups.NAME.asg`. */
export interface AsgGroupSettings extends Omit<AwsGroupSettings, 'subnet'> {
  readonly subnets: readonly string[];
  readonly targetGroups: readonly string[];
}

export const ASG_GROUP_SETTINGS: YamlType<AsgGroupSettings> = record({
  ...instanceFields,
  subnets: required(
    list(SUBNET, { isFilled: true }),
    'subnets, over whose zones the nodes are spread',
  ),
  targetGroups: withDefault(
    list(
      matching(
        'the ARN of a target group',
        /^arn:aws[a-z-]*:elasticloadbalancing:[a-z0-9-]+:\d{12}:targetgroup\/[\w-]{1,32}\/[0-9a-f]{16}$/,
      ),
    ),
    [],
    'target groups of a load balancer, whose health checks decide; default: the status of EC2',
  ),
});
