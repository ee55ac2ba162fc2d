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

const azureAnswer = `{"compute": {"location": "westeurope", "name": "web_3", "vmId": "1-2", "vmSize": "Standard_B1s", "zone": "",
"osProfile": {"adminUsername": "x"}, "publicKeys": [{"keyData": "ssh-ed25519 A a\r\n", "path": "/x"}], "userData": "e30="},
"network": {"interface": [{"ipv4": {"ipAddress": [{"privateIpAddress": "10.0.0.4", "publicIpAddress": ""}]}, "macAddress": "0"}]}}`

// readFrom reads a provider from the same answer to every request.
func readFrom(t *testing.T, name, answer string) (*session, error) {
	t.Helper()
	answers := hostile{[]byte(answer)}
	s := &session{client: answers, low: answers, header: http.Header{}, Metadata: instance.New(name)}
	return s, providers[name].read(t.Context(), s)
}

func TestReadAzure(t *testing.T) {
	s, err := readFrom(t, "azure", azureAnswer)
	want := map[string]string{
		"hostname": "web-3", "instance_id": "1-2", "instance_type": "Standard_B1s", "region": "westeurope", "local_ipv4": "10.0.0.4",
	}
	if err != nil || !maps.Equal(s.Values, want) || string(s.UserData) != "{}" || !slices.Equal(s.Keys, []string{"ssh-ed25519 A a"}) {
		t.Errorf("%+v, %v", s.Metadata, err)
	}
	s, err = readFrom(t, "azure", `{"compute": {"vmId": "1", "osProfile": {"computerName": "db"}, "userData": "no base64"}}`)
	if err != nil || !maps.Equal(s.Values, map[string]string{"hostname": "db", "instance_id": "1"}) || s.UserData != nil || len(s.Problems) != 1 {
		t.Errorf("%+v, %v", s.Metadata, err)
	}
	for _, answer := range []string{"<html>", "{}", `{"compute": {"vmId": 1}}`, "[]"} {
		if s, err := readFrom(t, "azure", answer); err == nil {
			t.Errorf("%s: %+v", answer, s.Metadata)
		}
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
	f.Add([]byte(azureAnswer))
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
