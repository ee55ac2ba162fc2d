package main

import (
	"path/filepath"
	"testing"
)

func TestFailUntil(t *testing.T) {
	args := []string{"3", filepath.Join(t.TempDir(), "count")}
	for run, fails := range []bool{true, true, false, false} {
		if err := failUntil(args); (err != nil) != fails {
			t.Errorf("run %d: %v", run, err)
		}
	}
}
