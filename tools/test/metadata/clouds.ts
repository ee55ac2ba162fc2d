/** Address of most clouds' metadata service. */
export const USUAL = '169.254.169.254';

interface Question {
  readonly method: string;
  readonly path: string;
  readonly header: (name: string) => string;
  /** The port that the request comes from. */
  readonly port: number;
}

interface Answer {
  readonly status?: number;
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Responses of a cloud's metadata service, and the files that a machine makes of them. */
export interface Cloud {
  readonly address?: string;
  readonly answer: (question: Question) => Answer | undefined;
  readonly files?: Readonly<Record<string, string>>;
}

const KEY = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA operator';
const OTHER = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB colleague';
const DATA = '{"service":{"entries":{"token":{"perm":"0400","content":"of the owner"}}}}';
const OWNED = { userdata: DATA, 'service/token': 'of the owner' };

/** Returns responses for the given paths only. */
function pages(all: Readonly<Record<string, string>>): Cloud['answer'] {
  return ({ method, path }) => {
    const body = method === 'GET' && Object.hasOwn(all, path) ? all[path] : undefined;
    return body === undefined ? undefined : { body };
  };
}

const EC2 = {
  '/latest/meta-data/hostname': 'ip-10-0-0-1.internal',
  '/latest/meta-data/local-ipv4': '10.0.0.1',
  '/latest/meta-data/instance-id': 'i-1234',
  '/latest/meta-data/placement/availability-zone': 'eu-1a',
  '/latest/user-data': DATA,
};
const EC2_KEYS = {
  '/latest/meta-data/public-keys/': '0=operator\n1=colleague',
  '/latest/meta-data/public-keys/0/openssh-key': `${KEY}\n`,
  '/latest/meta-data/public-keys/1/openssh-key': `${OTHER}\n`,
};
const EC2_FILES = {
  hostname: 'ip-10-0-0-1.internal',
  local_ipv4: '10.0.0.1',
  instance_id: 'i-1234',
  availability_zone: 'eu-1a',
  'ssh/authorized_keys': `${KEY}\n${OTHER}\n`,
  ...OWNED,
};
const aws = pages({ ...EC2, ...EC2_KEYS });
const google = pages({
  '/computeMetadata/v1/instance/hostname': 'web.c.example.internal',
  '/computeMetadata/v1/instance/id': '42',
  '/computeMetadata/v1/project/attributes/ssh-keys': `root:${KEY}\n`,
  '/computeMetadata/v1/instance/attributes/ssh-keys': `admin:${OTHER}\n`,
  '/computeMetadata/v1/instance/attributes/user-data': DATA,
});
const azure = pages({
  '/metadata/instance?api-version=2021-01-01&format=json': JSON.stringify({
    compute: {
      location: 'westeurope',
      name: 'lkt-shop-web_3',
      osProfile: { adminUsername: '', computerName: '' },
      publicKeys: [{ keyData: `${KEY}\r\n`, path: '/home/x/.ssh/authorized_keys' }],
      userData: Buffer.from(DATA).toString('base64'),
      vmId: '0-1-2',
      vmSize: 'Standard_B1s',
      zone: '2',
    },
    network: {
      interface: [
        {
          ipv4: { ipAddress: [{ privateIpAddress: '10.0.0.4', publicIpAddress: '' }], subnet: [] },
        },
      ],
    },
  }),
});
const scaleway = pages({
  '/conf': `ID=1-2-3\nHOSTNAME=web\nLOCATION_ZONE_ID=par1\nPRIVATE_IP=10.1.1.1\nPUBLIC_IP_ADDRESS=\nSSH_PUBLIC_KEYS=1\nSSH_PUBLIC_KEYS_0_KEY='${KEY}'\n`,
});

const FLOOD = 'x'.repeat(2 ** 21);

/** Clouds by provider name, then services with hostile responses. */
export const CLOUDS: Readonly<Record<string, Cloud>> = {
  aws: {
    answer: (question) => {
      const { method, path, header } = question;
      if (method === 'PUT' && path === '/latest/api/token')
        return header('x-aws-ec2-metadata-token-ttl-seconds') === ''
          ? { status: 400 }
          : { body: 'TOKEN==' };
      return header('x-aws-ec2-metadata-token') === 'TOKEN==' ? aws(question) : { status: 401 };
    },
    files: { provider: 'AWS', ...EC2_FILES },
  },
  azure: {
    answer: (question) =>
      question.header('metadata') === 'true' && question.header('x-forwarded-for') === ''
        ? azure(question)
        : { status: 400 },
    files: {
      provider: 'Azure',
      hostname: 'lkt-shop-web-3',
      instance_id: '0-1-2',
      instance_type: 'Standard_B1s',
      region: 'westeurope',
      availability_zone: '2',
      local_ipv4: '10.0.0.4',
      'ssh/authorized_keys': `${KEY}\n`,
      ...OWNED,
    },
  },
  openstack: {
    answer: pages({ ...EC2, ...EC2_KEYS, '/openstack/latest/meta_data.json': '{}' }),
    files: { provider: 'openstack', ...EC2_FILES },
  },
  hetzner: {
    answer: pages({
      ...EC2,
      '/hetzner/v1/metadata/hostname': 'web',
      '/latest/meta-data/public-keys': JSON.stringify([KEY, OTHER]),
    }),
    files: {
      provider: 'Hetzner',
      hostname: 'web',
      local_ipv4: '10.0.0.1',
      instance_id: 'i-1234',
      'ssh/authorized_keys': `${KEY}\n${OTHER}\n`,
      ...OWNED,
    },
  },
  gcp: {
    answer: (question) => {
      const right =
        question.header('metadata-flavor') === 'Google' &&
        question.header('host') === 'metadata.google.internal';
      if (!right) return { status: 403 };
      const answer = google(question);
      return answer && { ...answer, headers: { 'Metadata-Flavor': 'Google' } };
    },
    files: {
      provider: 'GCP',
      hostname: 'web.c.example.internal',
      instance_id: '42',
      'ssh/authorized_keys': `${OTHER}\n${KEY}\n`,
      ...OWNED,
    },
  },
  digitalocean: {
    answer: pages({
      '/metadata/v1/hostname': 'web',
      '/metadata/v1/id': '77',
      '/metadata/v1/region': 'fra1',
      '/metadata/v1/interfaces/public/0/ipv4/address': '192.0.2.7',
      '/metadata/v1/public-keys': KEY,
      '/metadata/v1/user-data': DATA,
    }),
    files: {
      provider: 'DigitalOcean',
      hostname: 'web',
      id: '77',
      region: 'fra1',
      public_ipv4: '192.0.2.7',
      'ssh/authorized_keys': `${KEY}\n`,
      ...OWNED,
    },
  },
  vultr: {
    answer: pages({
      '/v1/hostname': 'web',
      '/v1/instanceid': '88',
      '/v1/region/regioncode': 'FRA',
      '/v1/interfaces/1/ipv4/netmask': '255.255.0.0',
      '/v1/public-keys': KEY,
    }),
    files: {
      provider: 'Vultr',
      hostname: 'web',
      instance_id: '88',
      region_code: 'FRA',
      private_netmask: '255.255.0.0',
      'ssh/authorized_keys': `${KEY}\n`,
    },
  },
  scaleway: {
    address: '169.254.42.42',
    answer: (question) => {
      if (question.path !== '/user_data/cloud-init') return scaleway(question);
      return question.port < 1024 ? { body: DATA } : { status: 403 };
    },
    files: {
      provider: 'Scaleway',
      hostname: 'web',
      instance_id: '1-2-3',
      instance_location: 'par1',
      private_ip: '10.1.1.1',
      'ssh/authorized_keys': `${KEY}\n`,
      ...OWNED,
    },
  },
  // Each value would be harmful if used.
  hostile: {
    answer: pages({
      '/v1/hostname': 'web\u001b[2J;reboot',
      '/v1/instanceid': 'a\nb',
      '/v1/region/regioncode': FLOOD,
      '/v1/public-keys': `${KEY}\n\u001b]0;x\u0007ssh-ed25519 AAAA\n`,
    }),
    files: { provider: 'Vultr', 'ssh/authorized_keys': `${KEY}\n` },
  },
  escaping: {
    answer: pages({
      '/metadata/v1/hostname': 'web',
      '/metadata/v1/user-data':
        '{"good":{"content":"x"},"a":{"entries":{"../../../escaped":{"content":"x"}}}}',
    }),
  },
  redirecting: {
    answer: ({ path }) => ({
      status: 302,
      headers: { Location: `http://169.254.7.7${path}`, 'Metadata-Flavor': 'Google' },
    }),
  },
  mute: { answer: () => undefined },
};
