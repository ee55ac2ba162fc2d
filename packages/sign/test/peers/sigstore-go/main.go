// A command that signs and verifies bundles with sigstore-go.
//
// sigstore-go verify -root FILE -digest HEX (-key FILE | -identity SUBJECT -issuer URL) BUNDLE
// sigstore-go sign -root FILE -url URL -token TOKEN STATEMENT
package main

import (
	"crypto"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/sign"
	"github.com/sigstore/sigstore-go/pkg/verify"
	"github.com/sigstore/sigstore/pkg/signature"
	"google.golang.org/protobuf/encoding/protojson"
)

var (
	rootFile = flag.String("root", "", "")
	digest   = flag.String("digest", "", "")
	keyFile  = flag.String("key", "", "")
	identity = flag.String("identity", "", "")
	issuer   = flag.String("issuer", "", "")
	url      = flag.String("url", "", "")
	token    = flag.String("token", "", "")
)

func main() {
	command := os.Args[1]
	os.Args = append(os.Args[:1], os.Args[2:]...)
	flag.Parse()
	run := verifyBundle
	if command == "sign" {
		run = signStatement
	}
	if err := run(flag.Arg(0)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func verifyBundle(path string) error {
	signed, err := bundle.LoadJSONFromPath(path)
	if err != nil {
		return err
	}
	content, err := hex.DecodeString(*digest)
	if err != nil {
		return err
	}
	artifact := verify.WithArtifactDigest("sha256", content)
	if *keyFile != "" {
		material, err := keyMaterial(*keyFile)
		if err != nil {
			return err
		}
		verifier, err := verify.NewSignedEntityVerifier(material, verify.WithCurrentTime())
		if err != nil {
			return err
		}
		_, err = verifier.Verify(signed, verify.NewPolicy(artifact, verify.WithKey()))
		return err
	}
	trusted, err := root.NewTrustedRootFromPath(*rootFile)
	if err != nil {
		return err
	}
	verifier, err := verify.NewSignedEntityVerifier(trusted,
		verify.WithSignedCertificateTimestamps(1), verify.WithTransparencyLog(1), verify.WithObserverTimestamps(1))
	if err != nil {
		return err
	}
	who, err := verify.NewShortCertificateIdentity(*issuer, "", *identity, "")
	if err != nil {
		return err
	}
	_, err = verifier.Verify(signed, verify.NewPolicy(artifact, verify.WithCertificateIdentity(who)))
	return err
}

type lasting struct{ signature.Verifier }

func (lasting) ValidAtTime(time.Time) bool { return true }

func keyMaterial(path string) (root.TrustedMaterial, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("the key is not PEM")
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	verifier, err := signature.LoadVerifier(key, crypto.SHA256)
	if err != nil {
		return nil, err
	}
	return root.NewTrustedPublicKeyMaterial(func(string) (root.TimeConstrainedVerifier, error) {
		return lasting{verifier}, nil
	}), nil
}

func signStatement(path string) error {
	statement, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	keypair, err := sign.NewEphemeralKeypair(nil)
	if err != nil {
		return err
	}
	trusted, err := root.NewTrustedRootFromPath(*rootFile)
	if err != nil {
		return err
	}
	content := &sign.DSSEData{Data: statement, PayloadType: "application/vnd.in-toto+json"}
	made, err := sign.Bundle(content, keypair, sign.BundleOptions{
		TrustedRoot:                trusted,
		CertificateProvider:        sign.NewFulcio(&sign.FulcioOptions{BaseURL: *url, Timeout: 30 * time.Second}),
		CertificateProviderOptions: &sign.CertificateProviderOptions{IDToken: *token},
		TransparencyLogs:           []sign.Transparency{sign.NewRekor(&sign.RekorOptions{BaseURL: *url, Timeout: 30 * time.Second})},
	})
	if err != nil {
		return err
	}
	text, err := protojson.Marshal(made)
	if err != nil {
		return err
	}
	fmt.Println(string(text))
	return nil
}
