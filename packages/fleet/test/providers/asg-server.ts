import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { awsRights } from './documented-rights.ts';

/** A request in AWS's query protocol. */
interface AsgRequest {
  readonly action: string;
  readonly parameters: Readonly<Record<string, string>>;
}

interface Version {
  readonly number: number;
  readonly description: string;
  readonly token: string;
  readonly image: string;
  readonly created: Date;
  isDefault: boolean;
}

interface Member {
  readonly id: string;
  version: string;
  state: string;
  health: string;
  readonly launched: Date;
}

interface Group {
  readonly tags: Map<string, string>;
  version: string;
  size: number;
  members: Member[];
  refresh: { version: string; status: string; reason?: string } | undefined;
}

/**
 * Stands in for EC2 and Auto Scaling: rejects every request that is not as AWS documents it, and
 * keeps groups, templates and refreshes. Time passes when a test says so.
 */
export interface AsgServer extends AsyncDisposable {
  readonly endpoint: string;
  readonly requests: AsgRequest[];
  readonly groups: Map<string, Group>;
  readonly templates: Map<string, Version[]>;
  /** Requests that the server rejected, with its reasons. */
  readonly problems: readonly string[];
  /** Starts missing instances, and lets them become healthy. */
  readonly settle: () => void;
  /** Ends a refresh. */
  readonly finish: (group: string, status: string, reason?: string) => void;
}

const NAME = /^lkt\.[a-z][a-z0-9-]*\.[a-z][a-z0-9-]*$/;
const TAG = String.raw`Tags\.member\.\d+\.(?:ResourceId|ResourceType|Key|Value|PropagateAtLaunch)`;
const LIMITS = [
  'MinSize',
  'MaxSize',
  'DesiredCapacity',
  'MaxInstanceLifetime',
  'HealthCheckGracePeriod',
  'DefaultInstanceWarmup',
  String.raw`InstanceMaintenancePolicy\.(?:MinHealthyPercentage|MaxHealthyPercentage)`,
].join('|');
const DATA = [
  'ImageId',
  'InstanceType',
  'UserData',
  String.raw`NetworkInterface\.1\.(?:DeviceIndex|AssociatePublicIpAddress|DeleteOnTermination|SecurityGroupId\.\d+)`,
  String.raw`MetadataOptions\.(?:HttpTokens|HttpPutResponseHopLimit|HttpEndpoint)`,
  String.raw`TagSpecification\.\d+\.(?:ResourceType|Tag\.\d+\.(?:Key|Value))`,
].join('|');
const FILTER = String.raw`Filter\.1\.(?:Name|Value\.\d+)`;

/** The parameters of each action, as patterns of their whole names. */
const ACTIONS: Readonly<Record<string, string>> = {
  DescribeAutoScalingGroups: String.raw`Filters\.member\.1\.(?:Name|Values\.member\.1)|AutoScalingGroupNames\.member\.1|MaxRecords|NextToken`,
  DescribeLaunchTemplates: `${FILTER}|MaxResults|NextToken`,
  DeleteLaunchTemplateVersions: String.raw`LaunchTemplateName|LaunchTemplateVersion\.\d+`,
  DescribeInstances: `${FILTER}|MaxResults|NextToken`,
  DescribeLaunchTemplateVersions: 'LaunchTemplateName|MaxResults|NextToken',
  DescribeInstanceRefreshes: 'AutoScalingGroupName|MaxRecords',
  CreateLaunchTemplate: String.raw`LaunchTemplateName|VersionDescription|ClientToken|LaunchTemplateData\.(?:${DATA})|TagSpecification\.1\.(?:ResourceType|Tag\.\d+\.(?:Key|Value))`,
  ModifyLaunchTemplate: 'ClientToken|LaunchTemplateName|SetDefaultVersion',
  CreateLaunchTemplateVersion: String.raw`LaunchTemplateName|VersionDescription|ClientToken|LaunchTemplateData\.(?:${DATA})`,
  CreateAutoScalingGroup: String.raw`AutoScalingGroupName|LaunchTemplate\.(?:LaunchTemplateName|Version)|VPCZoneIdentifier|HealthCheckType|TargetGroupARNs\.member\.\d+|${LIMITS}|${TAG}`,
  UpdateAutoScalingGroup: `AutoScalingGroupName|${LIMITS}`,
  CreateOrUpdateTags: TAG,
  StartInstanceRefresh: String.raw`AutoScalingGroupName|Strategy|DesiredConfiguration\.LaunchTemplate\.(?:LaunchTemplateName|Version)|Preferences\.(?:MinHealthyPercentage|MaxHealthyPercentage|InstanceWarmup|SkipMatching|AutoRollback)`,
  CancelInstanceRefresh: 'AutoScalingGroupName',
  TerminateInstanceInAutoScalingGroup: 'InstanceId|ShouldDecrementDesiredCapacity',
};
const PROTOCOL = new Set(['Action', 'Version']);

export async function startAsgServer(): Promise<AsgServer> {
  const rights = awsRights('asg.json');
  const requests: AsgRequest[] = [];
  const problems: string[] = [];
  const groups = new Map<string, Group>();
  const templates = new Map<string, Version[]>();
  let count = 0;
  const server = createServer();
  server.on('request', async (request, response) => {
    const body = await text(request);
    const parameters = Object.fromEntries(new URLSearchParams(body));
    const action = parameters['Action'] ?? '';
    requests.push({ action, parameters });
    let answer: string;
    let status = 200;
    try {
      if (request.method !== 'POST' || request.url !== '/')
        throw new Problem('InvalidAction', `${request.method} ${request.url}`);
      if (request.headers.authorization?.startsWith('AWS4-HMAC-SHA256 ') !== true)
        throw new Problem('MissingAuthenticationToken', 'no signature');
      requireValid(action, parameters);
      const right = `${isScaling(action) ? 'autoscaling' : 'ec2'}:${action}`;
      if (!rights.has(right)) throw new Problem('AccessDenied', right);
      answer = respond(action, parameters);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      if (!error.isExpected) problems.push(`${action}: ${error.code}: ${error.message}`);
      status = 400;
      const fault = `<Error><Code>${error.code}</Code><Message>${error.message}</Message></Error>`;
      answer = isScaling(action)
        ? `<ErrorResponse>${fault}<RequestId>r</RequestId></ErrorResponse>`
        : `<Response><Errors>${fault}</Errors><RequestID>r</RequestID></Response>`;
    }
    response.writeHead(status, { 'content-type': 'text/xml' }).end(answer);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;

  const groupOf = (name = ''): Group => {
    const group = groups.get(name);
    if (group === undefined) throw new Problem('ValidationError', `no group ${name}`);
    return group;
  };
  const versionsOf = (name = ''): Version[] => {
    const versions = templates.get(name);
    if (versions !== undefined) return versions;
    throw new Problem('InvalidLaunchTemplateName.NotFoundException', `no template ${name}`, true);
  };
  const requireVersion = (name = '', version = ''): string => {
    if (versionsOf(name).some(({ number }) => String(number) === version)) return version;
    throw new Problem('ValidationError', `no version ${version} of ${name}`);
  };
  const addVersion = (versions: Version[], given: Readonly<Record<string, string>>): void => {
    const { VersionDescription: description = '', ClientToken: token = '' } = given;
    if (versions.some((one) => one.token === token)) return;
    const { 'LaunchTemplateData.ImageId': image = '' } = given;
    const number = (versions.at(-1)?.number ?? 0) + 1;
    const isDefault = versions.length === 0;
    versions.push({ number, description, token, image, created: new Date(), isDefault });
  };

  const respond = (action: string, given: Readonly<Record<string, string>>): string => {
    const name = given['AutoScalingGroupName'];
    switch (action) {
      case 'DescribeAutoScalingGroups': {
        const one = given['AutoScalingGroupNames.member.1'];
        const found = [...groups].filter(([key, { tags }]) =>
          one === undefined
            ? tags.get('lkt.fleet') === given['Filters.member.1.Values.member.1']
            : key === one,
        );
        const items = found.map(([key, group]) => groupXml(key, group)).join('');
        return result(action, `<AutoScalingGroups>${items}</AutoScalingGroups>`);
      }
      case 'DescribeInstances': {
        const names = Object.entries(given).flatMap(([key, value]) =>
          key.startsWith('Filter.1.Value.') ? [value] : [],
        );
        const members = names.flatMap((one) => groupOf(one).members);
        const items = members.map(
          ({ id, launched }) =>
            `<item><instanceId>${id}</instanceId><launchTime>${launched.toISOString()}</launchTime><privateIpAddress>10.0.0.9</privateIpAddress></item>`,
        );
        return plain(
          action,
          `<reservationSet><item><instancesSet>${items.join('')}</instancesSet></item></reservationSet>`,
        );
      }
      case 'DescribeLaunchTemplateVersions': {
        const items = versionsOf(given['LaunchTemplateName']).map(
          ({ number, description, image, created, isDefault }) =>
            `<item><versionNumber>${number}</versionNumber><versionDescription>${description}</versionDescription><createTime>${created.toISOString()}</createTime><defaultVersion>${isDefault}</defaultVersion><launchTemplateData><imageId>${image}</imageId></launchTemplateData></item>`,
        );
        return plain(
          action,
          `<launchTemplateVersionSet>${items.join('')}</launchTemplateVersionSet>`,
        );
      }
      case 'DescribeLaunchTemplates': {
        if (given['Filter.1.Name'] !== 'tag-key' || given['Filter.1.Value.1'] !== 'lkt.asg')
          throw new Problem('InvalidParameterValue', 'a filter');
        const items = [...templates.keys()].map(
          (key) => `<item><launchTemplateName>${key}</launchTemplateName></item>`,
        );
        return plain(action, `<launchTemplates>${items.join('')}</launchTemplates>`);
      }
      case 'DeleteLaunchTemplateVersions': {
        const versions = versionsOf(given['LaunchTemplateName']);
        const number = Number(given['LaunchTemplateVersion.1']);
        const index = versions.findIndex((one) => one.number === number);
        // AWS deletes no default version.
        if (versions[index]?.isDefault === true)
          throw new Problem('InvalidLaunchTemplateVersion', `${number} is the default`);
        if (index >= 0) versions.splice(index, 1);
        const fault =
          index >= 0
            ? ''
            : '<item><responseError><code>launchTemplateVersionDoesNotExist</code><message>none</message></responseError></item>';
        return plain(
          action,
          `<unsuccessfullyDeletedLaunchTemplateVersionSet>${fault}</unsuccessfullyDeletedLaunchTemplateVersionSet>`,
        );
      }
      case 'DescribeInstanceRefreshes': {
        const { refresh } = groupOf(name);
        const reason = refresh?.reason;
        const item =
          refresh === undefined
            ? ''
            : `<member><Status>${refresh.status}</Status>${reason === undefined ? '' : `<StatusReason>${reason}</StatusReason>`}<DesiredConfiguration><LaunchTemplate><Version>${refresh.version}</Version></LaunchTemplate></DesiredConfiguration></member>`;
        return result(action, `<InstanceRefreshes>${item}</InstanceRefreshes>`);
      }
      case 'CreateLaunchTemplate': {
        const template = given['LaunchTemplateName'] ?? '';
        if (templates.has(template))
          throw new Problem('InvalidLaunchTemplateName.AlreadyExistsException', 'exists', true);
        const versions: Version[] = [];
        addVersion(versions, given);
        templates.set(template, versions);
        return plain(action, '');
      }
      case 'ModifyLaunchTemplate': {
        const template = given['LaunchTemplateName'];
        const version = requireVersion(template, given['SetDefaultVersion']);
        for (const one of versionsOf(template)) one.isDefault = String(one.number) === version;
        return plain(action, '');
      }
      case 'CreateLaunchTemplateVersion':
        addVersion(versionsOf(given['LaunchTemplateName']), given);
        return plain(action, '');
      case 'CreateAutoScalingGroup': {
        if (name === undefined || groups.has(name))
          throw new Problem('AlreadyExists', 'exists', true);
        const version = requireVersion(
          given['LaunchTemplate.LaunchTemplateName'],
          given['LaunchTemplate.Version'],
        );
        const size = Number(given['DesiredCapacity']);
        groups.set(name, {
          tags: tagsOf(given),
          version,
          size,
          members: [],
          refresh: undefined,
        });
        return plain(action, '');
      }
      case 'UpdateAutoScalingGroup':
        groupOf(name).size = Number(given['DesiredCapacity']);
        return plain(action, '');
      case 'CreateOrUpdateTags': {
        const { tags } = groupOf(given['Tags.member.1.ResourceId']);
        for (const [key, value] of tagsOf(given)) tags.set(key, value);
        return plain(action, '');
      }
      case 'StartInstanceRefresh': {
        const group = groupOf(name);
        if (group.refresh?.status === 'InProgress')
          throw new Problem('InstanceRefreshInProgress', 'in progress', true);
        const prefix = 'DesiredConfiguration.LaunchTemplate';
        const version = requireVersion(
          given[`${prefix}.LaunchTemplateName`],
          given[`${prefix}.Version`],
        );
        group.refresh = { version, status: 'InProgress' };
        return result(action, '<InstanceRefreshId>r</InstanceRefreshId>');
      }
      case 'CancelInstanceRefresh': {
        const { refresh } = groupOf(name);
        if (refresh?.status !== 'InProgress')
          throw new Problem('ActiveInstanceRefreshNotFound', 'none', true);
        refresh.status = 'Cancelled';
        return result(action, '<InstanceRefreshId>r</InstanceRefreshId>');
      }
      case 'TerminateInstanceInAutoScalingGroup': {
        for (const group of groups.values())
          group.members = group.members.filter(({ id }) => id !== given['InstanceId']);
        return result(action, '');
      }
      default:
        throw new Problem('InvalidAction', action);
    }
  };

  const settle = (): void => {
    for (const group of groups.values()) {
      group.members.splice(group.size);
      while (group.members.length < group.size) {
        count += 1;
        const id = `i-${count.toString(16).padStart(17, '0')}`;
        const { version } = group;
        const launched = new Date();
        group.members.push({ id, version, state: 'InService', health: 'Healthy', launched });
      }
    }
  };
  return {
    requests,
    problems,
    groups,
    templates,
    settle,
    endpoint: `http://127.0.0.1:${port}`,
    finish: (key, status, reason) => {
      const group = groupOf(key);
      const { refresh } = group;
      if (refresh === undefined) throw new Error('no refresh');
      group.refresh = { ...refresh, status, ...(reason === undefined ? {} : { reason }) };
      if (status !== 'Successful') return;
      // AWS gives the group the desired configuration at the end.
      group.version = refresh.version;
      group.members = [];
      settle();
    },
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

/** An error that AWS answers; expected ones are part of its interface. */
class Problem extends Error {
  readonly code: string;
  readonly isExpected: boolean;

  constructor(code: string, message: string, isExpected = false) {
    super(message);
    this.code = code;
    this.isExpected = isExpected;
  }
}

/** @throws Problem for what AWS rejects */
function requireValid(action: string, given: Readonly<Record<string, string>>): void {
  const known = new RegExp(`^(?:${ACTIONS[action] ?? '(?!)'})$`);
  for (const key of Object.keys(given))
    if (!PROTOCOL.has(key) && !known.test(key)) throw new Problem('UnknownParameter', key);
  for (const key of ['AutoScalingGroupName', 'LaunchTemplateName'])
    if (key in given && !NAME.test(given[key] ?? '')) throw new Problem('ValidationError', key);
  const number = (key: string): number | undefined =>
    key in given ? Number(given[key]) : undefined;
  for (const prefix of ['InstanceMaintenancePolicy', 'Preferences']) {
    const least = number(`${prefix}.MinHealthyPercentage`);
    const most = number(`${prefix}.MaxHealthyPercentage`);
    if (least === undefined || most === undefined) continue;
    const isValid = least >= 0 && least <= 100 && most >= 100 && most <= 200 && most - least <= 100;
    if (!isValid) throw new Problem('ValidationError', `${prefix} ${least} ${most}`);
  }
  const life = number('MaxInstanceLifetime') ?? 0;
  if (life !== 0 && (life < 86_400 || life > 31_536_000))
    throw new Problem('ValidationError', `MaxInstanceLifetime ${life}`);
  if ((given['VersionDescription'] ?? '').length > 255 || (given['ClientToken'] ?? '').length > 128)
    throw new Problem('ValidationError', 'too long');
  for (const [key, value] of Object.entries(given))
    if (key.endsWith('.Key') && (value.startsWith('aws:') || value.length > 128))
      throw new Problem('ValidationError', `tag ${value}`);
}

function tagsOf(given: Readonly<Record<string, string>>): Map<string, string> {
  const tags = new Map<string, string>();
  for (const [key, value] of Object.entries(given)) {
    const [, index] = /^Tags\.member\.(\d+)\.Key$/.exec(key) ?? [];
    if (index !== undefined) tags.set(value, given[`Tags.member.${index}.Value`] ?? '');
  }
  return tags;
}

function groupXml(name: string, { tags, version, size, members }: Group): string {
  const tagXml = [...tags].map(
    ([key, value]) => `<member><Key>${key}</Key><Value>${value}</Value></member>`,
  );
  const memberXml = members.map(
    ({ id, state, health, version: own }) =>
      `<member><InstanceId>${id}</InstanceId><LifecycleState>${state}</LifecycleState><HealthStatus>${health}</HealthStatus><LaunchTemplate><Version>${own}</Version></LaunchTemplate></member>`,
  );
  return `<member><AutoScalingGroupName>${name}</AutoScalingGroupName><DesiredCapacity>${size}</DesiredCapacity><LaunchTemplate><Version>${version}</Version></LaunchTemplate><Tags>${tagXml.join('')}</Tags><Instances>${memberXml.join('')}</Instances></member>`;
}

function isScaling(action: string): boolean {
  return /AutoScaling|Refresh|CreateOrUpdateTags/.test(action);
}

function result(action: string, xml: string): string {
  return `<${action}Response xmlns="http://autoscaling.amazonaws.com/doc/2011-01-01/"><${action}Result>${xml}</${action}Result></${action}Response>`;
}

function plain(action: string, xml: string): string {
  return `<${action}Response>${xml}</${action}Response>`;
}
