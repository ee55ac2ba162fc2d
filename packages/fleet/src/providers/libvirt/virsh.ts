import { ProviderError, type ProviderFailure } from '../../provider.ts';
import { runTool, type ToolResult } from '../tool.ts';

/** Options of a call of virsh. */
export interface VirshOptions {
  readonly signal: AbortSignal;
  /** Default: one minute. */
  readonly timeoutMs?: number;
}

const TIMEOUT_MS = 60_000;
/** An argument of a program has at most 128 KiB. */
const MAX_BATCH_CHARS = 100_000;
/** Printed between the results of a batch; no name or record contains it. */
const SEPARATOR = '==lkt==';

/** Runs virsh for one connection URI. */
export class Virsh {
  readonly #uri: string;

  constructor(uri: string) {
    this.#uri = withoutPrompt(uri);
  }

  /** Runs one command, and returns its status. @throws ProviderError `unavailable`, TOOL_MISSING */
  async try(
    command: readonly string[],
    { signal, timeoutMs = TIMEOUT_MS }: VirshOptions,
  ): Promise<ToolResult> {
    const result = await runTool('virsh', ['-q', '-c', this.#uri, ...command], {
      signal,
      timeoutMs,
      aptPackage: 'libvirt-clients',
    });
    // A failed command says nothing about the host unless the connection works.
    if (result.code !== 0 && isConnectionError(result.stderr)) throw errorOf(result.stderr);
    return result;
  }

  /** Runs one command, and returns its output. @throws ProviderError */
  async run(command: readonly string[], options: VirshOptions): Promise<string> {
    const { code, stdout, stderr } = await this.try(command, options);
    if (code !== 0) throw errorOf(stderr);
    return stdout;
  }

  /**
   * Runs commands over one connection, and returns the output of each; that of a command that
   * failed is empty. Words of a command must need no quotes.
   */
  async batch(
    commands: readonly (readonly string[])[],
    options: VirshOptions,
  ): Promise<readonly string[]> {
    const results: string[] = [];
    let script = '';
    let count = 0;
    const flush = async (): Promise<void> => {
      if (count === 0) return;
      const { stdout, stderr } = await this.try([script], options);
      if (isConnectionError(stderr)) throw errorOf(stderr);
      const parts = stdout.split(SEPARATOR);
      if (parts.length !== count + 1)
        throw new ProviderError('unavailable', 'virsh ended before its last command', {
          cause: firstLine(stderr),
        });
      results.push(...parts.slice(0, count).map((part) => part.trim()));
      script = '';
      count = 0;
    };
    for (const command of commands) {
      script += `${command.join(' ')}; echo ${SEPARATOR}; `;
      count += 1;
      if (script.length > MAX_BATCH_CHARS) await flush();
    }
    await flush();
    return results;
  }
}

/** Makes ssh fail instead of asking for a password. */
function withoutPrompt(uri: string): string {
  if (!/^qemu\+(?:lib)?ssh2?:/.test(uri) || /[?&]no_tty=/.test(uri)) return uri;
  return `${uri}${uri.includes('?') ? '&' : '?'}no_tty=1`;
}

interface Rule {
  readonly matches: RegExp;
  readonly failure: ProviderFailure;
  readonly fix?: string;
}

const RULES: readonly Rule[] = [
  {
    matches: /authentication (?:failed|unavailable|cancelled)|access denied|Permission denied/i,
    failure: 'denied',
    fix: 'give the user the rights that docs/fleet/libvirt.md lists',
  },
  {
    matches: /Failed to bind port .*Address already in use/,
    failure: 'unavailable',
  },
  {
    matches: /Cannot allocate memory|cannot set up guest memory|No space left on device/i,
    failure: 'capacity',
  },
  {
    matches: /already active|already exists|exists already/,
    failure: 'conflict',
  },
  {
    matches: /failed to get domain|Domain not found/,
    failure: 'missing',
  },
  {
    matches: /failed to get pool|Storage pool not found/,
    failure: 'invalid',
    fix: 'create the pool: virsh pool-create-as NAME dir --target DIRECTORY',
  },
  {
    matches:
      /failed to validate against schema|unsupported configuration|XML error|invalid argument/,
    failure: 'invalid',
  },
  {
    matches: /no network with matching name|Cannot get interface MTU on/,
    failure: 'invalid',
    fix: 'correct the name of the network or bridge',
  },
];

const CONNECTION =
  /failed to connect to the hypervisor|client socket is closed|End of file while reading data|Connection reset|Disconnected from/i;

function isConnectionError(stderr: string): boolean {
  return CONNECTION.test(stderr);
}

/** Returns the error for what virsh printed. */
function errorOf(stderr: string): ProviderError {
  const rule = RULES.find(({ matches }) => matches.test(stderr));
  const isConnection = isConnectionError(stderr);
  const failure = rule?.failure ?? 'unavailable';
  // Without a connection, only a permission can be missing.
  const kind = isConnection && failure !== 'denied' ? 'unavailable' : failure;
  const fix =
    kind === 'unavailable' && isConnection
      ? 'check that libvirtd runs, and the URI: virsh -c URI version'
      : rule?.fix;
  return new ProviderError(kind, `libvirt: ${firstLine(stderr)}`, { fix });
}

/** Returns the last line of virsh's error, which is more specific than the first. */
function firstLine(stderr: string): string {
  const lines = stderr
    .split('\n')
    .filter((line) => line.startsWith('error: '))
    .map((line) => line.slice('error: '.length).trim());
  return (lines.at(-1) ?? stderr.trim().split('\n')[0] ?? '').slice(0, 500);
}

/** Parses the table of `virsh domifaddr`, without loopback and link-local addresses. */
export function parseAddresses(table: string): readonly string[] {
  return [...table.matchAll(/\bipv[46]\s+([0-9a-f.:]{3,45})\//g)]
    .map(([, address]) => address ?? '')
    .filter((address) => !/^(?:127\.|169\.254\.|::1$|fe80:)/.test(address))
    .slice(0, 16);
}
