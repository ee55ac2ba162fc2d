/** Credentials of a user. */
export type Credentials =
  | { readonly kind: 'password'; readonly username: string; readonly password: string }
  /** Docker's "identity token": an OAuth2 refresh token. */
  | { readonly kind: 'refresh'; readonly token: string }
  /** A token for the registry itself. */
  | { readonly kind: 'bearer'; readonly token: string };
