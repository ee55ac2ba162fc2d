package backdoor

import (
	"errors"
	"testing"
)

// QEMU and other hosts have other signatures, or no port.
func TestOtherHostsRefuseThePort(t *testing.T) {
	if IsVMware() {
		t.Skip("this machine is VMware's")
	}
	if err := Probe(IO); !errors.Is(err, ErrRefused) {
		t.Error(err)
	}
}
