import type { RefPattern } from './ref-pattern.ts';
import type { Claims, Identity } from './certificate-identity.ts';

/** A trusted OIDC identity, by its subject, by claims, or by both. */
export interface TrustedIdentity {
  /** URL of the OpenID Connect provider. Compared literally. */
  readonly issuer: string;
  /** Compared literally. */
  readonly subject?: string | undefined;
  readonly claims?: TrustedClaims | undefined;
}

/** Claims that a certificate must have. All but `ref` are compared literally. */
export interface TrustedClaims {
  readonly repository: string;
  /** Without the ref that follows it in a certificate. */
  readonly workflow?: string | undefined;
  readonly ref?: RefPattern | undefined;
  readonly environment?: string | undefined;
}

/** Returns why a certificate is not of a trusted identity; undefined if it is. */
export function identityProblem(
  trusted: TrustedIdentity,
  { issuer, subject }: Identity,
  claims: Claims,
): string | undefined {
  if (issuer !== trusted.issuer) return mismatch('issuer', issuer, trusted.issuer);
  if (trusted.subject !== undefined && subject !== trusted.subject)
    return mismatch('subject', subject, trusted.subject);
  if (trusted.claims === undefined)
    return trusted.subject === undefined ? 'the policy names no subject' : undefined;
  const { repository, workflow, ref, environment } = trusted.claims;
  if (claims.repository !== repository)
    return mismatch('repository', claims.repository, repository);
  if (ref !== undefined && (claims.ref === undefined || !ref.matches(claims.ref)))
    return mismatch('ref', claims.ref, ref.text);
  // Of another ref the file may have other contents.
  if (workflow !== undefined && claims.workflow !== `${workflow}@${claims.ref ?? ''}`)
    return mismatch('workflow', claims.workflow, workflow);
  if (environment !== undefined && claims.environment !== environment)
    return mismatch('environment', claims.environment, environment);
  return undefined;
}

function mismatch(what: string, actual: string | undefined, expected: string): string {
  return actual === undefined
    ? `its certificate states no ${what}`
    : `its ${what} is ${actual}, not ${expected}`;
}

/** Returns a text that is equal for equal identities. */
export function identityKey({ issuer, subject, claims }: TrustedIdentity): string {
  const { repository, workflow, ref, environment } = claims ?? {};
  return JSON.stringify([issuer, subject, repository, workflow, ref?.text, environment]);
}

/** Returns the name of a trusted identity for messages. */
export function describeIdentity({ issuer, subject, claims }: TrustedIdentity): string {
  const { repository, workflow, ref, environment } = claims ?? {};
  const parts = [
    subject,
    // A workflow's URL begins with its repository.
    workflow ?? repository,
    ref?.text,
    environment === undefined ? undefined : `environment ${environment}`,
  ];
  return `${parts.filter((part) => part !== undefined).join(', ')} (${issuer})`;
}
