package cloud

import (
	"bytes"
	"context"
	"hash/fnv"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"lkt/metadata/instance"
	"lkt/metadata/linklocal"
)

// tools/test/metadata.test.ts tests the providers with servers at their addresses.

func TestProvidersAreLinkLocal(t *testing.T) {
	for name, p := range providers {
		if p.address != defaultAddress && p.address != "169.254.42.42" || p.label == "" || !Known(name) {
			t.Errorf("%s: %+v", name, p)
		}
	}
	if Known("equinixmetal") || Known("") {
		t.Error("known")
	}
}

func TestParseConf(t *testing.T) {
	conf := parseConf("ID=1-2\nSSH_PUBLIC_KEYS_0_KEY='ssh-ed25519 AAAA= a'\nEMPTY=\n\nno value\n")
	want := map[string]string{"ID": "1-2", "SSH_PUBLIC_KEYS_0_KEY": "ssh-ed25519 AAAA= a", "EMPTY": "", "": "", "no value": ""}
	if !maps.Equal(conf, want) {
		t.Errorf("%q", conf)
	}
}

func TestWithoutUsers(t *testing.T) {
	if keys := withoutUsers("a:ssh-rsa AAAA a\n\nno user\nb:ssh-ed25519 B b:c"); keys != "ssh-rsa AAAA a\nssh-ed25519 B b:c\n" {
		t.Errorf("%q", keys)
	}
}

// hostile answers each path with a part of its bytes.
type hostile [][]byte

func (h hostile) Get(_ context.Context, path string) ([]byte, http.Header, error) {
	hash := fnv.New32a()
	hash.Write([]byte(path))
	part := h[int(hash.Sum32()%uint32(len(h)))]
	if bytes.HasPrefix(part, []byte("absent")) {
		return nil, nil, &linklocal.StatusError{Path: path, Status: http.StatusNotFound}
	}
	return part, http.Header{"Metadata-Flavor": {"Google"}}, nil
}

func (h hostile) Put(ctx context.Context, path, _, _ string) ([]byte, error) {
	body, _, err := h.Get(ctx, path)
	return body, err
}

// FuzzAnswers reads every provider from the same hostile answers.
func FuzzAnswers(f *testing.F) {
	f.Add([]byte("host.example\xff0=a\n1=b\xffssh-ed25519 AAAA a\xff[\"ssh-rsa A\"]\xffabsent\xffID=1\nSSH_PUBLIC_KEYS=200\n"))
	f.Add([]byte(strings.Repeat("\x01\n", 1000)))
	f.Fuzz(func(t *testing.T, b []byte) {
		answers := hostile(bytes.Split(b, []byte{0xff}))
		for _, name := range slices.Sorted(maps.Keys(providers)) {
			s := &session{client: answers, low: answers, header: http.Header{}, Metadata: instance.New(name)}
			if providers[name].read(t.Context(), s) != nil {
				continue
			}
			if len(s.Keys) > 64 || len(s.Problems) > 64 || len(s.Values) > 16 {
				t.Fatalf("%s: %d keys, %d problems, %d values", name, len(s.Keys), len(s.Problems), len(s.Values))
			}
			for _, text := range slices.Concat(s.Keys, slices.Collect(maps.Values(s.Values)), s.header["X-Aws-Ec2-Metadata-Token"]) {
				if text == "" && name != "aws" || strings.ContainsAny(text, "\n\r\x00\x1b") {
					t.Fatalf("%s: %q", name, text)
				}
			}
		}
	})
}
