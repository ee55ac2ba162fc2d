package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lkt/vmware/backdoor"
	"lkt/vmware/emulator"
)

// readVMware runs the program with a host. It returns the directory that it writes to and what it
// prints.
func readVMware(t *testing.T, program string, h *emulator.Host) (dir, said string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "config")
	said = emulator.Run(t, h, func() bool { return false }, program, "-config", dir, "vmware")
	return dir, said
}

func TestReadsVMware(t *testing.T) {
	program := emulator.Build(t, "metadata")
	h := &emulator.Host{Facts: map[string]string{
		"guestinfo.userdata": "eyJhcHAiOnsiY29udGVudCI6InRva2VuIn19", "guestinfo.userdata.encoding": "base64", "guestinfo.metadata": "local-hostname: web\n",
	}}
	problems := []string{"no request"}
	h.Spoil = func(backdoor.Registers, *backdoor.Registers) {
		if len(h.Asked()) > 0 && problems != nil {
			problems = emulator.Unconfined(program, "metadata-vmware", 696)
		}
	}
	dir, said := readVMware(t, program, h)
	if said != "metadata: VMWARE\n" || problems != nil {
		t.Errorf("%q, %q", said, problems)
	}
	for name, want := range map[string]string{"provider": "VMWARE", "hostname": "web", "app": "token"} {
		if data, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(data) != want {
			t.Errorf("%s: %q, %v", name, data, err)
		}
	}
}

func TestReadsNothingFromHostileVMware(t *testing.T) {
	program := emulator.Build(t, "metadata")
	for want, h := range map[string]*emulator.Host{
		"guestinfo.userdata and guestinfo.metadata are not set":                     {},
		"the host refuses the I/O port of its tools,   fix: remove monitor_control": {IsRestricted: true},
		"guestinfo.userdata: the host announced an invalid message of 4294967295 bytes": {Spoil: func(call backdoor.Registers, r *backdoor.Registers) {
			if call.CX == 3<<16|30 {
				r.BX, r.CX, r.DX = 0xffffffff, 3<<16|30, 1<<16|0x5658
			}
		}},
	} {
		dir, said := readVMware(t, program, h)
		if !strings.HasPrefix(said, "metadata: not vmware: "+want) || !strings.HasSuffix(said, "metadata: no provider has metadata of this machine\n") {
			t.Errorf("%q", said)
		}
		if files, err := os.ReadDir(dir); err != nil || len(files) > 0 {
			t.Errorf("%s: %v, %v", want, files, err)
		}
	}
}
