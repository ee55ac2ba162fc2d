package main

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/containerd/log"
)

func TestLoadOptions(t *testing.T) {
	path := filepath.Join(t.TempDir(), "runtime-config.toml")
	if o, err := loadOptions(path); err != nil || len(o.arguments()) != 0 {
		t.Errorf("no file: %+v, %v", o, err)
	}
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// The file of LinuxKit's test 009_init_containerd.
	write("cliopts=\"--log-level  trace\"\nstderr=\"/var/log/containerd.out.log\"\nstdout=\"stdout\"\n")
	o, err := loadOptions(path)
	if err != nil || !slices.Equal(o.arguments(), []string{"--log-level", "trace"}) || o.Stderr != "/var/log/containerd.out.log" {
		t.Errorf("got %+v, %v", o, err)
	}
	for _, text := range []string{"cliopts = 5", "cliopts", "cliopts = \"a"} {
		write(text)
		if o, err := loadOptions(path); err == nil || o != (options{}) {
			t.Errorf("%s: got %+v, %v", text, o, err)
		}
	}
}

func TestSetLevel(t *testing.T) {
	for _, c := range []struct {
		args    []string
		level   log.Level
		ignored []string
		fails   bool
	}{
		{nil, log.WarnLevel, nil, false},
		{[]string{"--log-level", "trace"}, log.TraceLevel, nil, false},
		{[]string{"-l", "debug", "--config", "x"}, log.DebugLevel, []string{"--config", "x"}, false},
		{[]string{"--log-level=info"}, log.InfoLevel, nil, false},
		{[]string{"--log-level", "loud"}, log.WarnLevel, nil, true},
		{[]string{"--log-level"}, log.WarnLevel, nil, true},
	} {
		ignored, err := setLevel(c.args)
		if log.GetLevel() != c.level || !slices.Equal(ignored, c.ignored) || (err != nil) != c.fails {
			t.Errorf("%q: level %v, ignored %q, %v", c.args, log.GetLevel(), ignored, err)
		}
	}
}

func TestRedirectAppendsToFiles(t *testing.T) {
	if err := (options{Stderr: "stdout", Stdout: "stderr"}).redirect(); err != nil {
		t.Error(err)
	}
	for _, target := range []string{"file", "/no/such/file"} {
		if err := (options{Stderr: target}).redirect(); err == nil {
			t.Errorf("%s: accepted", target)
		}
	}
	path := filepath.Join(t.TempDir(), "log")
	file, err := os.Create(filepath.Join(t.TempDir(), "other"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for range 2 {
		if err := appendTo(path, int(file.Fd())); err != nil {
			t.Fatal(err)
		}
		if _, err := file.WriteString("line\n"); err != nil {
			t.Fatal(err)
		}
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "line\nline\n" {
		t.Errorf("got %q, %v", text, err)
	}
}
