import type { RequestLaunchTemplateData } from '@aws-sdk/client-ec2';
import { ProviderError } from '../../provider.ts';
import type { AwsGroupSettings } from './settings.ts';

/** Maximum size of user data at EC2. */
export const MAX_USER_DATA_BYTES = 16_384;

/** Parameters of instances, for `RunInstances` and for launch templates. */
type MachineInput = Required<
  Pick<
    RequestLaunchTemplateData,
    'ImageId' | 'InstanceType' | 'MetadataOptions' | 'NetworkInterfaces'
  >
> &
  Pick<RequestLaunchTemplateData, 'UserData'>;

/**
 * Returns the parameters of the machines of a group.
 * @throws ProviderError `invalid` for metadata that EC2 rejects
 */
export function machineInput(
  image: string,
  group: Omit<AwsGroupSettings, 'subnet'> & { readonly subnet?: string },
  metadata: Uint8Array | undefined,
): MachineInput {
  if (metadata !== undefined && metadata.length > MAX_USER_DATA_BYTES)
    throw new ProviderError(
      'invalid',
      `metadata of ${metadata.length} bytes exceeds the ${MAX_USER_DATA_BYTES} of EC2`,
      { fix: 'put large files into the image' },
    );
  return {
    ImageId: image,
    InstanceType: group.instanceType as MachineInput['InstanceType'],
    NetworkInterfaces: [
      {
        DeviceIndex: 0,
        AssociatePublicIpAddress: group.publicAddress,
        DeleteOnTermination: true,
        ...(group.subnet === undefined ? {} : { SubnetId: group.subnet }),
        ...(group.securityGroups.length === 0 ? {} : { Groups: [...group.securityGroups] }),
      },
    ],
    MetadataOptions: {
      HttpTokens: 'required',
      HttpPutResponseHopLimit: 1,
      HttpEndpoint: 'enabled',
    },
    ...(metadata === undefined ? {} : { UserData: Buffer.from(metadata).toString('base64') }),
  };
}
