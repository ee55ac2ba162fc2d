package tool

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestOutputEndsAProgramThatTakesTooLong(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	output, err := Output(ctx, []string{"/bin/sh", "-c", "echo begun; exec /bin/sleep 1000"}, "")
	if err == nil || ctx.Err() == nil || string(output) != "begun\n" {
		t.Errorf("%q, %v", output, err)
	}
}

// A disk may exploit the program that checks it.
func TestToolOpensOnlyItsDisk(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"disk", "other"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	disk, other := filepath.Join(dir, "disk"), filepath.Join(dir, "other")
	script := `read x <$0; echo $x; echo more >>$0
		read y <$1 && echo OPEN; true >>$1 && echo OPEN; true >$1.new && echo OPEN; exit 0`
	output, err := Output(context.Background(), []string{"/bin/sh", "-c", script, disk, other}, disk)
	if text := string(output); err != nil || !strings.HasPrefix(text, "disk\n") || strings.Contains(text, "OPEN") {
		t.Errorf("%q, %v", output, err)
	}
	if text, err := os.ReadFile(disk); err != nil || string(text) != "diskmore\n" {
		t.Errorf("the disk has %q, %v", text, err)
	}
}

func TestUnprivilegedToolHasNoCapabilities(t *testing.T) {
	if os.Getuid() != 0 {
		t.Fatal("the test must run as root")
	}
	err := Run([]string{"/bin/sh", "-c", "/bin/grep ^Cap /proc/self/status; exit 3"}, "/dev/null")
	if err == nil || !strings.Contains(err.Error(), "exit status 3") {
		t.Fatal(err)
	}
	for _, set := range []string{"CapPrm", "CapEff", "CapAmb"} {
		if !strings.Contains(err.Error(), set+":\t0000000000000000") {
			t.Errorf("%s is not empty: %v", set, err)
		}
	}
}
