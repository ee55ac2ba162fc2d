package userdata

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"reflect"
	"strings"
	"testing"
)

const example = `{"ssh":{"entries":{"sshd_config":{"perm":"0600","content":"PermitRootLogin yes\n"}}},
 "foo":{"perm":"0700","entries":{"bar":{"content":"foobar","other":[{"a":1}]},"none":{"entries":{}}}},"empty":{"content":""}}`

func TestParse(t *testing.T) {
	got, err := Parse([]byte(example))
	want := []Entry{
		{Name: "ssh", Mode: 0o755, Directory: true, Entries: []Entry{
			{Name: "sshd_config", Mode: 0o600, Content: []byte("PermitRootLogin yes\n")},
		}},
		{Name: "foo", Mode: 0o700, Directory: true, Entries: []Entry{
			{Name: "bar", Mode: 0o644, Content: []byte("foobar")},
			{Name: "none", Mode: 0o755, Directory: true},
		}},
		{Name: "empty", Mode: 0o644, Content: []byte{}},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err := Parse([]byte(" {}\n")); err != nil || len(got) != 0 {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestParseReportsOtherFormats(t *testing.T) {
	for _, text := range []string{
		"", "#!/bin/sh\n", "#cloud-config\nusers: []\n", "[]", `"x"`, "null", "{", `{"a":{"content":"x"}} {}`, `{"a":1}`, `{"a":null}`,
		`{"ignition":{"version":"3.0.0"}}`, `{"a":{"content":1}}`, `{"a":{"entries":[]}}`, `{"a":{"perm":1,"content":""}}`, "{\"a\":{\"content\":\"x\"}}\x00",
	} {
		if entries, err := Parse([]byte(text)); !errors.Is(err, ErrOther) || len(entries) != 0 && err == nil {
			t.Errorf("%q: %v, %v", text, entries, err)
		}
	}
}

func TestParseRejectsInvalidEntries(t *testing.T) {
	file := `{"content":"x"}`
	many := make([]string, maxEntries+1)
	for i := range many {
		many[i] = fmt.Sprintf(`"f%d":%s`, i, file)
	}
	for name, text := range map[string]string{
		"parent":        `{"..":` + file + `}`,
		"self":          `{".":{"entries":{}}}`,
		"empty name":    `{"":` + file + `}`,
		"absolute":      `{"/etc/passwd":` + file + `}`,
		"path":          `{"a/../../b":` + file + `}`,
		"nested path":   `{"a":{"entries":{"../../b":` + file + `}}}`,
		"backslash":     `{"a\\b":` + file + `}`,
		"NUL":           `{"a\u0000":` + file + `}`,
		"line break":    `{"a\nb":` + file + `}`,
		"invalid UTF-8": "{\"a\xff\":" + file + "}",
		"long":          `{"` + strings.Repeat("a", 256) + `":` + file + `}`,
		"both":          `{"a":{"content":"x","entries":{}}}`,
		"twice":         `{"a":` + file + `,"a":` + file + `}`,
		"two contents":  `{"a":{"content":"x","content":"y"}}`,
		"setuid":        `{"a":{"perm":"4755","content":"x"}}`,
		"sticky":        `{"a":{"perm":"1777","entries":{}}}`,
		"no mode":       `{"a":{"perm":"rw","content":"x"}}`,
		"negative":      `{"a":{"perm":"-1","content":"x"}}`,
		"huge":          `{"a":{"perm":"77777777777","content":"x"}}`,
		"deep":          strings.Repeat(`{"a":{"entries":`, 17) + "{}" + strings.Repeat("}}", 17),
		"many":          "{" + strings.Join(many, ",") + "}",
	} {
		if entries, err := Parse([]byte(text)); err == nil || errors.Is(err, ErrOther) {
			t.Errorf("%s: %+v, %v", name, entries, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range []string{example, "{}", `{"..":{"content":"x"}}`, `{"a":{"perm":"4755","content":"x"}}`, `{"a":{"content":"x","entries":{}}}`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		entries, err := Parse(data)
		if err != nil {
			return
		}
		if !json.Valid(data) {
			t.Fatal("accepted invalid JSON")
		}
		count := 0
		check(t, entries, 1, &count)
	})
}

func check(t *testing.T, entries []Entry, depth int, count *int) {
	names := map[string]bool{}
	for _, e := range entries {
		if *count++; depth > maxDepth || *count > maxEntries {
			t.Fatal("out of bounds")
		}
		if !fs.ValidPath(e.Name) || e.Name == "." || strings.ContainsAny(e.Name, "/\x00") || names[e.Name] {
			t.Fatalf("name %q", e.Name)
		}
		names[e.Name] = true
		if e.Mode&^0o777 != 0 || e.Directory && e.Content != nil || !e.Directory && e.Entries != nil {
			t.Fatalf("%+v", e)
		}
		check(t, e.Entries, depth+1, count)
	}
}
