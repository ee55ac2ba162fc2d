package main

import (
	"strings"
	"testing"

	"github.com/containerd/containerd/version"
)

func TestAnswersWithoutADaemon(t *testing.T) {
	for line, want := range map[string]string{
		"containerd --version":                  version.Version,
		"containerd -v":                         "containerd " + version.Package,
		"containerd --help":                     "usage: containerd",
		"containerd -h":                         "usage: containerd",
		"containerd help":                       "usage: containerd",
		"containerd --log-level debug -version": version.Version,
		"service --help":                        "usage: service list",
		"service -h":                            "usage: service list",
	} {
		var out strings.Builder
		words := strings.Fields(line)
		if err := run(words[0], words[1:], &out); err != nil || !strings.Contains(out.String(), want) {
			t.Errorf("%s: %q, %v", line, out.String(), err)
		}
	}
}

func TestRejectsCommandsOfContainerd(t *testing.T) {
	for line, want := range map[string]string{
		"containerd config default":      "config",
		"containerd --config x config":   "config",
		"containerd -l debug publish":    "publish",
		"containerd oci-hook":            "oci-hook",
		"service version":                "usage: service list",
		"service start":                  "usage: service list",
		"containerd --log-level=x start": "start",
	} {
		var out strings.Builder
		words := strings.Fields(line)
		if err := run(words[0], words[1:], &out); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %q, %v", line, out.String(), err)
		}
	}
}
