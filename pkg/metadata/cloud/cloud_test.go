package cloud

import (
	"maps"
	"testing"
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
