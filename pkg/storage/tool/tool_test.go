package tool

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"
)

func TestOutputEndsAProgramThatTakesTooLong(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	output, err := Output(ctx, []string{"/bin/sh", "-c", "echo begun; exec /bin/sleep 1000"}, false)
	if err == nil || ctx.Err() == nil || string(output) != "begun\n" {
		t.Errorf("%q, %v", output, err)
	}
}

func TestUnprivilegedToolHasNoCapabilities(t *testing.T) {
	if os.Getuid() != 0 {
		t.Fatal("the test must run as root")
	}
	err := Run([]string{"/bin/sh", "-c", "/bin/grep ^Cap /proc/self/status; exit 3"}, true)
	if err == nil || !strings.Contains(err.Error(), "exit status 3") {
		t.Fatal(err)
	}
	for _, set := range []string{"CapPrm", "CapEff", "CapAmb"} {
		if !strings.Contains(err.Error(), set+":\t0000000000000000") {
			t.Errorf("%s is not empty: %v", set, err)
		}
	}
}
