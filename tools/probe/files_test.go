package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A test binary without cgo is linked at a fixed address, without RELRO.
func TestHardeningReportsMissing(t *testing.T) {
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if problem := hardening(path); !strings.Contains(problem, "not PIE") || !strings.Contains(problem, "no BIND_NOW") {
		t.Errorf("a plain Go program lacks %q", problem)
	}
}

func TestHardeningIgnoresOtherFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if problem := hardening(path); problem != "" {
		t.Errorf("a script lacks %q", problem)
	}
}
