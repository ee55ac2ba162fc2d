import { choice, list, type YamlType } from '@lkt/core';

/** A permission beyond the defaults of lkt's init: docs/image-yml.md#allow. */
export type Allowance = 'bpf' | 'kernel' | 'keys' | 'mount' | 'namespaces' | 'vsock';

export const ALLOWANCES: YamlType<readonly Allowance[]> = list(
  choice('bpf', 'kernel', 'keys', 'mount', 'namespaces', 'vsock'),
);
