package instance

import (
	"strings"
	"testing"
)

func TestSetHostname(t *testing.T) {
	for name, good := range map[string]bool{
		"web": true, "ip-10-0-0-1.ec2.internal": true, "a.b": true, strings.Repeat("a", 64): true, " web\n": true,
		"": false, "-a": false, "a-": false, "a..b": false, "a b": false, "a_b": false, "a/b": false, "a\x00": false,
		strings.Repeat("a", 65): false, "wéb": false, "a\nb": false,
	} {
		m := New("x")
		m.Set("hostname", name)
		if _, accepted := m.Values["hostname"]; accepted != good || good != (len(m.Problems) == 0) {
			t.Errorf("%q: accepted %v, %v", name, accepted, m.Problems)
		}
	}
}

func TestSetValue(t *testing.T) {
	for value, good := range map[string]bool{
		"i-1": true, " i-1\n": true, "": false, "a\nb": false, "\x1b[31m": false, "\xff": false, strings.Repeat("a", 1025): false,
	} {
		m := New("x")
		m.Set("instance_id", value)
		if _, accepted := m.Values["instance_id"]; accepted != good {
			t.Errorf("%q: accepted %v", value, accepted)
		}
	}
}

func TestAddKeys(t *testing.T) {
	m := New("x")
	m.AddKeys("# comment\n\nssh-ed25519 AAAA a\r\nssh-ed25519 \x1b[2J b\n" + strings.Repeat("k", 16385) + "\n")
	if len(m.Keys) != 1 || m.Keys[0] != "ssh-ed25519 AAAA a" || len(m.Problems) != 2 {
		t.Errorf("%q, %v", m.Keys, m.Problems)
	}
	m.AddKeys(strings.Repeat("ssh-ed25519 AAAA\n", 100))
	if len(m.Keys) != 64 || len(m.Problems) != 3 {
		t.Errorf("%d keys, %v", len(m.Keys), m.Problems)
	}
}
