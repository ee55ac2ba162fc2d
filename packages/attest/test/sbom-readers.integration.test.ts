import { execFileSync } from 'node:child_process';
import { mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { canonicalJson } from '@lkt/core';
import { expect, test } from 'vitest';
import { cycloneDxOf, spdxOf } from '../src/index.ts';
import { EXAMPLE } from './example-sbom.ts';

/** Prints name, version and package URL of each package, with the library of the SPDX project. */
const SPDX_READER = `package main

import (
	"fmt"
	"os"

	"github.com/spdx/tools-golang/json"
	"github.com/spdx/tools-golang/spdxlib"
)

func main() {
	document, err := json.Read(os.Stdin)
	if err == nil {
		err = spdxlib.ValidateDocument(document)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	for _, item := range document.Packages {
		url := ""
		for _, reference := range item.PackageExternalReferences {
			if reference.RefType == "purl" {
				url = reference.Locator
			}
		}
		fmt.Println(item.PackageName, item.PackageVersion, url)
	}
}
`;

/** Does the same with the library of the CycloneDX project. */
const CYCLONEDX_READER = `
import json, sys
from cyclonedx.model.bom import Bom
bom = Bom.from_json(json.load(sys.stdin))
bom.validate()
for item in [bom.metadata.component, *bom.components]:
    print(item.name, item.version or '', item.purl or '')
`;

function lines(text: string): readonly string[] {
  // The libraries write reserved characters of package URLs in their own ways.
  return decodeURIComponent(text)
    .trim()
    .split('\n')
    .map((line) => line.trim())
    .toSorted();
}

test('the libraries of SPDX and CycloneDX read the same packages', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-readers-'));
  await writeFile(join(dir.path, 'main.go'), SPDX_READER);
  const document = spdxOf(EXAMPLE);
  const env = {
    PATH: process.env['PATH'],
    HOME: dir.path,
    GO111MODULE: 'off',
    GOPATH: '/usr/share/gocode',
    GOFLAGS: '-buildvcs=false',
  };
  const go = ['run', join(dir.path, 'main.go')];
  const spdx = execFileSync('/usr/lib/go-1.24/bin/go', go, {
    input: canonicalJson(document),
    encoding: 'utf8',
    env,
  });
  const cyclonedx = execFileSync('/usr/bin/python3', ['-c', CYCLONEDX_READER], {
    input: canonicalJson(cycloneDxOf(document)),
    encoding: 'utf8',
  });
  const expected = document.packages
    .map(({ name, versionInfo = '', externalRefs = [] }) => {
      const purl = externalRefs.find(({ referenceType }) => referenceType === 'purl');
      return `${name} ${versionInfo} ${purl?.referenceLocator ?? ''}`;
    })
    .join('\n');
  expect(lines(spdx)).toEqual(lines(expected));
  expect(lines(cyclonedx)).toEqual(lines(expected));
});
