/** How to allow in a container what a build needs. */
export const ALLOW_IN_CONTAINER =
  'in a container, allow user namespaces and mounts (Docker: --security-opt seccomp=unconfined --security-opt systempaths=unconfined, with AppArmor also apparmor=unconfined), or everything (Docker: --privileged)';

/**
 * How to allow a new /proc: the kernel forbids it to a user namespace while parts of the old one
 * are hidden.
 */
export const SHOW_PROC =
  'in a container, hide no part of /proc (Docker: --security-opt systempaths=unconfined; Kubernetes: procMount: Unmasked)';
