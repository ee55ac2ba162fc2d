package confine

import (
	"bytes"
	"encoding/json"
	"slices"
	"testing"
)

// FuzzConfig checks that a container that cannot undo them gets the restrictions, whether the
// runtime ignores the case of keys (runc) or not (crun).
func FuzzConfig(f *testing.F) {
	f.Add([]byte(`{"hostname": "x", "linux": {}}`))
	f.Add([]byte(`{"process": {"capabilities": {"bounding": ["CAP_SYS_ADMIN"]}}, "linux": {}}`))
	f.Add([]byte(`{"linux": {"readonlyPaths": ["/a"], "resources": {"pids": null}, "namespaces": [{"type": "net"}]}}`))
	f.Add([]byte(`{"mounts": [{"destination": "/sys", "type": "sysfs", "options": ["rw"]}, {"type": "tmpfs"}], "linux": {}}`))
	f.Add([]byte(`{"linux": {"seccomp": null, "resources": {"memory": {"limit": null}}}, "annotations": {"lkt.allow": "mount"}}`))
	f.Add([]byte(`{"Linux": {}, "linux": {"maskedpaths": []}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		out, err := Config(data)
		if err != nil {
			return
		}
		again, err := Config(out)
		if err != nil {
			t.Fatalf("rejects its own result %s: %v", out, err)
		}
		capabilities, err := boundingSet(out)
		if err != nil {
			t.Fatal(err)
		}
		allowed, err := allowedWords(out)
		if err != nil || canUndo(capabilities, allowed) {
			return
		}
		if bytes.Equal(out, data) && !bytes.Contains(data, []byte(`"linux"`)) {
			return // no Linux container: the runtime rejects it
		}
		if !bytes.Equal(again, out) {
			t.Fatalf("%s becomes %s", out, again)
		}
		var exact map[string]json.RawMessage
		if err := json.Unmarshal(out, &exact); err != nil {
			t.Fatal(err)
		}
		if string(exact["linux"]) == "null" || exact["linux"] == nil {
			return
		}
		for _, linux := range []json.RawMessage{exact["linux"], folded(t, out)} {
			var fields map[string]json.RawMessage
			if err := json.Unmarshal(linux, &fields); err != nil {
				t.Fatal(err)
			}
			for _, key := range []string{"seccomp", "readonlyPaths", "maskedPaths", "namespaces", "resources"} {
				if fields[key] == nil {
					t.Fatalf("no %s in %s", key, linux)
				}
			}
		}
	})
}

// folded returns the object "linux" as a decoder reads it that ignores the case of keys.
func folded(t *testing.T, config []byte) json.RawMessage {
	t.Helper()
	var spec struct {
		Linux struct {
			Seccomp       json.RawMessage `json:"seccomp,omitempty"`
			ReadonlyPaths json.RawMessage `json:"readonlyPaths,omitempty"`
			MaskedPaths   json.RawMessage `json:"maskedPaths,omitempty"`
			Resources     json.RawMessage `json:"resources,omitempty"`
			Namespaces    []struct {
				Type string `json:"type"`
			} `json:"namespaces,omitempty"`
		} `json:"linux"`
	}
	if err := json.Unmarshal(config, &spec); err != nil {
		// A runtime that decodes more fields rejects it too.
		t.Skip()
	}
	if !slices.ContainsFunc(spec.Linux.Namespaces, func(n struct {
		Type string `json:"type"`
	}) bool {
		return n.Type == "cgroup"
	}) {
		t.Fatalf("no cgroup namespace in %s", config)
	}
	var exact struct {
		Linux map[string]json.RawMessage `json:"linux"`
	}
	if err := json.Unmarshal(config, &exact); err != nil {
		t.Fatal(err)
	}
	for key, value := range map[string]json.RawMessage{
		"readonlyPaths": spec.Linux.ReadonlyPaths, "maskedPaths": spec.Linux.MaskedPaths, "seccomp": spec.Linux.Seccomp,
	} {
		if !bytes.Equal(exact.Linux[key], value) {
			t.Fatalf("%s is %s or %s, by the runtime", key, exact.Linux[key], value)
		}
	}
	text, err := json.Marshal(spec.Linux)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
