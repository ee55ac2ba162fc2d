/** The licences of a Debian package, from its copyright file. */
export interface PackageLicense {
  /** SPDX license expression of what the file declares. */
  readonly declared: string;
  /** The expression that its text suggests, if the file is not machine-readable. */
  readonly concluded?: string;
  /** Texts of the `LicenseRef-…` in the expressions. */
  readonly texts: readonly LicenseText[];
}

/** A licence that SPDX does not list. */
export interface LicenseText {
  /** `LicenseRef-…`, which ends with a digest of the text. */
  readonly id: string;
  /** Short name in the copyright file. */
  readonly name?: string;
  readonly text: string;
}
