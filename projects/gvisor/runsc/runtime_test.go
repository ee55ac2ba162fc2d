package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// bundleOf writes a bundle whose config.json has this text.
func bundleOf(t *testing.T, config string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

const (
	plain    = `{"annotations": {"other": "gvisor"}}`
	isolated = `{"annotations": {"lkt.runtimeClass": "gvisor"}, "linux": {"namespaces": [{"type": "pid"}, {"type": "network"}]}}`
	shared   = `{"annotations": {"lkt.runtimeClass": "gvisor"}, "linux": {"namespaces": [{"type": "pid"}]}}`
	joining  = `{"annotations": {"lkt.runtimeClass": "gvisor"}, "linux": {"namespaces": [{"type": "network", "path": "/run/a"}]}}`
	unknown  = `{"annotations": {"lkt.runtimeClass": "kata"}}`
)

func TestCreateSelectsTheRuntimeByTheClass(t *testing.T) {
	statesDir = t.TempDir()
	const runsc = " --log /l --log-format json --platform=systrap --network="
	for _, test := range []struct{ config, path, want string }{
		{plain, runcPath, "runc --root /r --log /l --log-format json create --bundle BUNDLE --pid-file /p a"},
		{isolated, runscPath, "runsc --root STATES/r" + runsc + "none --overlay2=none create --bundle BUNDLE --pid-file /p a"},
		{shared, runscPath, "runsc --root STATES/r" + runsc + "host --overlay2=none create --bundle BUNDLE --pid-file /p a"},
	} {
		bundle := bundleOf(t, test.config)
		args := []string{"--root", "/r", "--log", "/l", "--log-format", "json", "create", "--bundle", bundle, "--pid-file", "/p", "a"}
		path, argv, err := runtimeOf(args)
		got := strings.NewReplacer(bundle, "BUNDLE", statesDir, "STATES").Replace(strings.Join(argv, " "))
		if err != nil || path != test.path || got != test.want {
			t.Errorf("%s: %s %q %v", test.config, path, got, err)
		}
	}
}

func TestCreateRejectsWhatItCannotRun(t *testing.T) {
	for _, bundle := range []string{bundleOf(t, unknown), bundleOf(t, joining), bundleOf(t, "{"), t.TempDir()} {
		if path, _, err := runtimeOf([]string{"run", "--bundle=" + bundle, "a"}); err == nil {
			t.Errorf("%s runs %s", bundle, path)
		}
	}
}

func TestCreateIsolatesTheMountsOfGVisorAlone(t *testing.T) {
	statesDir = t.TempDir()
	const mounts = `"mounts":[{"destination":"/a","options":["rw","rshared"]},{"destination":"/b"},{"options":["shared","ro"]}]`
	for config, want := range map[string]string{
		`{"annotations":{"lkt.runtimeClass":"gvisor"},` + mounts + `,"root":{"path":"rootfs"}}`: `{"annotations":{"lkt.runtimeClass":"gvisor"},` +
			`"mounts":[{"destination":"/a","options":["rw","rslave"]},{"destination":"/b"},{"options":["slave","ro"]}],"root":{"path":"rootfs"}}`,
		`{` + mounts + `}`: `{` + mounts + `}`,
	} {
		bundle := bundleOf(t, config)
		_, _, err := runtimeOf([]string{"create", "--bundle", bundle, "a"})
		if got, _ := os.ReadFile(filepath.Join(bundle, "config.json")); err != nil || string(got) != want {
			t.Errorf("%s %v", got, err)
		}
	}
}

func TestOtherCommandsFollowTheState(t *testing.T) {
	statesDir = t.TempDir()
	states := filepath.Join(statesDir, "r")
	if err := os.Mkdir(states, 0o700); err != nil {
		t.Fatal(err)
	}
	for id, text := range map[string]string{"a": `{"spec": ` + shared + `}`, "broken": "{", "other": `{"spec": ` + plain + `}`} {
		if err := os.WriteFile(filepath.Join(states, id+"_sandbox:"+id+".state"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const flags = " --platform=systrap --network=host --overlay2=none "
	for args, want := range map[string]string{
		"--root=/r start a":                  "runsc --root STATES/r" + flags + "start a",
		"--root=/r --debug kill --all a 9":   "runsc --root STATES/r --debug" + flags + "kill --all a 9",
		"--root /r exec --process /f -d a":   "runsc --root STATES/r" + flags + "exec --process /f -d a",
		"--root /r --rootless true state a":  "runsc --root STATES/r" + flags + "state a",
		"--root /r exec --user a b":          "runc --root /r exec --user a b",
		"start a":                            "runc start a",
		"--root /elsewhere delete --force a": "runc --root /elsewhere delete --force a",
		"--version":                          "runc --version",
		"--root=/r update --resources - b":   "runc --root=/r update --resources - b",
		"--root=/r list":                     "runc --root=/r list",
		"--root=/r state":                    "runc --root=/r state",
		"":                                   "runc",
		"--root=/r start broken":             "error",
		"--root=/r delete --force other":     "error",
		"--root=/r --log":                    "runc --root=/r --log",
		"--root=/r kill ../a":                "runc --root=/r kill ../a",
	} {
		_, argv, err := runtimeOf(strings.Fields(args))
		got := strings.ReplaceAll(strings.Join(argv, " "), statesDir, "STATES")
		if err != nil {
			got = "error"
		}
		if got != want {
			t.Errorf("%q: %q, want %q (%v)", args, got, want, err)
		}
	}
}
