package sandbox

import (
	"encoding/binary"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// architectures are the numbers of linux/audit.h and, from each architecture's unistd.h, those of
// system calls whose numbers differ most. The package takes its own from golang.org/x/sys.
var architectures = map[string]struct {
	number uint32
	calls  map[string]uint32
}{
	"amd64": {0xc000003e, map[string]uint32{"read": 0, "write": 1, "mmap": 9, "socket": 41, "openat": 257, "newfstatat": 262, "execve": 59, "ptrace": 101}},
	"arm64": {0xc00000b7, map[string]uint32{"read": 63, "write": 64, "mmap": 222, "socket": 198, "openat": 56, "newfstatat": 79, "execve": 221, "ptrace": 117}},
}

// TestFilterDecidesByArchitectureNumberAndArguments evaluates the filter as the kernel does, but
// without one: an emulator of programs for another architecture has no seccomp.
func TestFilterDecidesByArchitectureNumberAndArguments(t *testing.T) {
	own, known := architectures[runtime.GOARCH]
	if !known {
		t.Fatalf("no numbers of %s", runtime.GOARCH)
	}
	names := Role{Syscalls: []string{"read", "write", "openat", "newfstatat", "socket inet", "socket unix"}}.syscalls()
	filter := buildFilter(names)
	const high = 1 << 32
	for _, row := range []struct {
		call      string
		arguments [6]uint64
		want      uint32
	}{
		{"read", [6]uint64{}, retAllow},
		{"write", [6]uint64{high | 1}, retAllow},
		{"openat", [6]uint64{}, retAllow},
		{"newfstatat", [6]uint64{}, retAllow},
		{"execve", [6]uint64{}, retKill},
		{"ptrace", [6]uint64{}, retKill},
		{"socket", [6]uint64{unix.AF_INET}, retAllow},
		{"socket", [6]uint64{unix.AF_UNIX}, retAllow},
		{"socket", [6]uint64{unix.AF_NETLINK}, retKill},
		// The kernel ignores the upper half of an int.
		{"socket", [6]uint64{high | unix.AF_NETLINK}, retKill},
		{"mmap", [6]uint64{2: unix.PROT_READ, 3: unix.MAP_ANONYMOUS}, retAllow},
		{"mmap", [6]uint64{2: unix.PROT_READ | unix.PROT_EXEC, 3: unix.MAP_ANONYMOUS}, retKill},
		{"mmap", [6]uint64{2: unix.PROT_READ, 3: unix.MAP_PRIVATE}, retKill},
	} {
		if got := evaluate(t, filter, own.number, own.calls[row.call], row.arguments); got != row.want {
			t.Errorf("%s%v: %#x", row.call, row.arguments, got)
		}
	}
	for name, other := range architectures {
		if name != runtime.GOARCH && evaluate(t, filter, other.number, own.calls["read"], [6]uint64{}) != retKill {
			t.Errorf("allows calls of %s", name)
		}
	}
	const x32 = 1 << 30 // another table of calls of amd64
	if evaluate(t, filter, own.number, x32|own.calls["read"], [6]uint64{}) != retKill {
		t.Error("allows calls of x32")
	}
}

// TestEveryRuleDecidesAlone evaluates a filter of each rule: its call is the only one of 1024.
func TestEveryRuleDecidesAlone(t *testing.T) {
	for name, r := range rules {
		var arguments [6]uint64
		for _, c := range r.checks {
			arguments[c.argument] |= uint64(c.value)
		}
		want := uint32(retAllow)
		if r.errno != 0 {
			want = retErrno | uint32(r.errno)
		}
		filter := buildFilter([]string{name})
		for number := range uint32(1024) {
			expected := uint32(retKill)
			if number == r.number {
				expected = want
			}
			if got := evaluate(t, filter, auditArch, number, arguments); got != expected {
				t.Errorf("%s: call %d: %#x", name, number, got)
			}
		}
		for _, c := range r.checks {
			wrong := arguments
			wrong[c.argument] ^= uint64(c.mask & -c.mask)
			if got := evaluate(t, filter, auditArch, r.number, wrong); got != retKill {
				t.Errorf("%s with argument %d = %#x: %#x", name, c.argument, wrong[c.argument], got)
			}
		}
	}
}

// evaluate runs a filter on a system call: the instructions of bpf(4) that buildFilter uses, on
// struct seccomp_data of a little-endian machine.
func evaluate(t *testing.T, filter []unix.SockFilter, arch, number uint32, arguments [6]uint64) uint32 {
	t.Helper()
	data := binary.LittleEndian.AppendUint32(nil, number)
	data = binary.LittleEndian.AppendUint32(data, arch)
	data = binary.LittleEndian.AppendUint64(data, 0) // the instruction pointer
	for _, value := range arguments {
		data = binary.LittleEndian.AppendUint64(data, value)
	}
	var accumulator uint32
	for at := 0; at < len(filter); at++ {
		switch i := filter[at]; i.Code {
		case unix.BPF_LD | unix.BPF_W | unix.BPF_ABS:
			accumulator = binary.LittleEndian.Uint32(data[i.K:])
		case unix.BPF_ALU | unix.BPF_AND | unix.BPF_K:
			accumulator &= i.K
		case unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K:
			if accumulator == i.K {
				at += int(i.Jt)
			} else {
				at += int(i.Jf)
			}
		case unix.BPF_RET | unix.BPF_K:
			return i.K
		default:
			t.Fatalf("instruction %d has code %#x", at, i.Code)
		}
	}
	t.Fatal("the filter ends without a result")
	return 0
}
