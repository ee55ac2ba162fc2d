package settings

import (
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"testing"
)

const authority = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE2B2lRuXCYf3EYPmPDqcCTlGuPpRAwA7m3wQmIJSvgL ca"

func TestParseKeepsDefaultsOfAbsentKeys(t *testing.T) {
	s, err := Parse([]byte("port: 2222\nlimits: { channels: 3 }\ntrustedUserCAKeys: [" + authority + "]\naddresses: [127.0.0.1, '::1']\n"))
	if err != nil {
		t.Fatal(err)
	}
	if s.Port != 2222 || s.Limits.Channels != 3 || s.Limits.AuthenticationSeconds != 20 || !s.SFTP || len(s.Addresses) != 2 {
		t.Errorf("%+v", s)
	}
	if s.Forwarding.Local || s.Forwarding.Remote {
		t.Error("forwards by default")
	}
}

func TestParseAcceptsAnEmptyFile(t *testing.T) {
	s, err := Parse(nil)
	if err != nil || !reflect.DeepEqual(s, Default()) {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestParseRejectsInvalidSettings(t *testing.T) {
	for text, want := range map[string]string{
		"prot: 22":                       "prot",
		"port: 0":                        "port",
		"port: 70000":                    "70000",
		"addresses: [nowhere]":           "nowhere",
		"hostKeys: keys":                 "absolute",
		"trustedUserCAKeys: [ssh-rsa x]": "trustedUserCAKeys",
		"trustedUserCAKeys: ['cert-authority " + authority + "']": "trustedUserCAKeys",
		"acceptEnv: [LD_PRELOAD]":                                 "LD_PRELOAD",
		"acceptEnv: ['*']":                                        "acceptEnv",
		"limits: { channels: 0 }":                                 "channels",
		"limits: { unauthenticated: 10000 }":                      "unauthenticated",
		"limits: { idle: 1 }":                                     "idle",
	} {
		if _, err := Parse([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestAcceptsEnvironmentMatchesPrefixes(t *testing.T) {
	for name, want := range map[string]bool{"LANG": true, "LC_ALL": true, "LANGUAGE": false, "PATH": false, "": false} {
		if got := AcceptsEnvironment(Default().AcceptEnv, name); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
	if AcceptsEnvironment([]string{"L*"}, "LD_PRELOAD") {
		t.Error("accepts a variable of the dynamic linker")
	}
}

type schema struct {
	Properties           map[string]schema `json:"properties"`
	AdditionalProperties *bool             `json:"additionalProperties"`
	Default              any               `json:"default"`
}

// The schema has exactly the fields and defaults of Settings.
func TestSchemaDescribesTheSettings(t *testing.T) {
	text, err := os.ReadFile("../../../docs/schema/sshd.json")
	if err != nil {
		t.Fatal(err)
	}
	var root schema
	if err := json.Unmarshal(text, &root); err != nil {
		t.Fatal(err)
	}
	compare(t, "", root, reflect.ValueOf(Default()))
}

func compare(t *testing.T, path string, s schema, v reflect.Value) {
	if s.AdditionalProperties == nil || *s.AdditionalProperties {
		t.Errorf("%s allows other properties", path)
	}
	found := map[string]bool{}
	for i := range v.NumField() {
		name := v.Type().Field(i).Tag.Get("yaml")
		property, ok := s.Properties[name]
		if found[name] = true; !ok {
			t.Errorf("no %s.%s", path, name)
		} else if v.Field(i).Kind() == reflect.Struct {
			compare(t, path+"."+name, property, v.Field(i))
		} else if want, got := jsonOf(t, v.Field(i).Interface()), jsonOf(t, property.Default); want != got && (want != "null" || got != "[]") {
			t.Errorf("default of %s.%s: %s is not %s", path, name, got, want)
		}
	}
	for name := range s.Properties {
		if !found[name] {
			t.Errorf("unknown %s.%s", path, name)
		}
	}
}

func jsonOf(t *testing.T, v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// FuzzParse parses settings, which a config may take from a volume.
func FuzzParse(f *testing.F) {
	f.Add([]byte("port: 2222\nusers: [root]\nlimits: { connections: 3 }\n"))
	f.Add([]byte("acceptEnv: [L*]\n"))
	f.Add([]byte("addresses: [\"::1\"]\nacceptEnv: [LC_*]\nforwarding: { local: true }\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := Parse(text)
		if err == nil && (s.check() != nil || AcceptsEnvironment(s.AcceptEnv, "LD_PRELOAD")) {
			t.Fatalf("%+v", s)
		}
	})
}
