package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lkt/vmware/backdoor"
	"lkt/vmware/emulator"
)

// emulate is [emulator.Run].
var emulate = emulator.Run

func never() bool { return false }

// daemon builds this package's program.
func daemon(t *testing.T) string {
	t.Helper()
	return emulator.Build(t, "vmtoolsd")
}

// theirs returns the arguments with which vmtoolsd of open-vm-tools only reports facts. Its other
// plugins would act on this machine.
func theirs(t *testing.T) []string {
	t.Helper()
	dir := t.TempDir()
	found, err := filepath.Glob("/usr/lib/*/open-vm-tools/plugins/vmsvc/libguestInfo.so")
	if err != nil || len(found) != 1 {
		t.Fatalf("libguestInfo.so: %v, %v", found, err)
	}
	if err := os.Symlink(found[0], filepath.Join(dir, "libguestInfo.so")); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "tools.conf")
	if err := os.WriteFile(config, []byte("[guestinfo]\npoll-interval=1\ndisable-perf-mon=1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return []string{emulator.Peer(t, "vmtoolsd"), "-n", "vmsvc", "-p", dir, "-c", config}
}

// fact returns the last fact of a kind that a program has reported, or "".
func fact(h *emulator.Host, kind string) string {
	for _, request := range slices.Backward(h.Asked()) {
		if text, found := strings.CutPrefix(request, "SetGuestInfo  "+kind+" "); found {
			return text
		}
	}
	return ""
}

var conversation = []string{"reset", "ping", "Capabilities_Register", "Set_Option broadcastIP 1", "Unheard_Of 1 2 3", "ping\x00"}

// addresses is a program that makes links with addresses before it becomes another program.
const addresses = `set -e
ip link add near address 02:00:00:00:00:01 type veth peer name far address 02:00:00:00:00:02
ip link add down address 02:00:00:00:00:03 type veth peer name lower
ip link set near addrgenmode none
ip link set far addrgenmode none
ip address add 192.0.2.7/24 dev near
ip address add 2001:db8::7/64 dev near nodad
ip link set near up
ip link set far up
exec "$0" "$@"
`

// TestAnswersAsTheirs compares the conversations and facts of both programs with the same host.
func TestAnswersAsTheirs(t *testing.T) {
	run := func(arguments ...string) *emulator.Host {
		h := &emulator.Host{Script: slices.Clone(conversation)}
		said := emulate(t, h, func() bool {
			return len(h.Exchanges()) == len(conversation) && fact(h, "10") != "" && slices.ContainsFunc(h.Asked(), isAddress)
		}, arguments...)
		if len(h.Exchanges()) < len(conversation) {
			t.Fatalf("%q: %q, %s", arguments[0], h.Exchanges(), said)
		}
		return h
	}
	within := []string{"/bin/sh", "-c", addresses}
	ours, reference := run(append(within, daemon(t))...), run(append(within, theirs(t)...)...)
	if got, want := ours.Exchanges(), reference.Exchanges(); !slices.Equal(got, want) {
		t.Errorf("%q, theirs %q", got, want)
	}
	got, want := decode(t, fact(ours, "10")), decode(t, fact(reference, "10"))
	if got.host != want.host || len(want.links) != 2 || !slices.Equal(got.links, want.links) {
		t.Errorf("%+v, theirs %+v", got, want)
	}
	for _, prefix := range []string{"info-set guestinfo.ip ", "vmx.capability.unified_loop ", "SetGuestInfo  1 "} {
		find := func(h *emulator.Host) string {
			all := h.Asked()
			at := slices.IndexFunc(all, func(s string) bool { return strings.HasPrefix(s, prefix) })
			if at < 0 {
				return ""
			}
			return all[at]
		}
		if got, want := find(ours), find(reference); got != want || got == "" {
			t.Errorf("%q, theirs %q", got, want)
		}
	}
	for _, want := range []string{"tools.capability.statechange ", "tools.set.versiontype 2147483647 4\x00"} {
		if !slices.Contains(ours.Asked(), want) {
			t.Errorf("%q lacks %q", ours.Asked(), want)
		}
	}
}

func isAddress(request string) bool { return strings.HasPrefix(request, "info-set guestinfo.ip ") }

// standIn is PID 1 of the program's namespace. It prints the signals of a shutdown.
const standIn = `trap 'echo init: powerdown' USR2
trap 'echo init: reboot' INT
"$0" & child=$!
while kill -0 $child 2>/dev/null; do wait $child; done
`

func TestSignalsPID1(t *testing.T) {
	program := daemon(t)
	for message, want := range map[string]struct{ said, status string }{
		"OS_Halt":   {"vmtoolsd: the host requests powerdown\ninit: powerdown\n", "tools.os.statechange.status 1 1\x00"},
		"OS_Reboot": {"vmtoolsd: the host requests reboot\ninit: reboot\n", "tools.os.statechange.status 1 2\x00"},
	} {
		// A second request would force the shutdown.
		h := &emulator.Host{Script: []string{"reset", "OS_PowerOn", message, message, "ping"}}
		said := emulate(t, h, func() bool { return len(h.Exchanges()) == 5 && h.Idle() > 10 }, "/bin/sh", "-c", standIn, program)
		if !strings.Contains(said, want.said) || strings.Count(said, "init: ") != 1 {
			t.Errorf("%s: %q", message, said)
		}
		answers := []string{"OK ATR toolbox", "OK ", "OK ", "ERROR State change already in progress", "OK "}
		for i, e := range h.Exchanges() {
			if e.Answer != answers[i] {
				t.Errorf("%q", e)
			}
		}
		for _, request := range []string{want.status, "tools.os.statechange.status 1 3\x00"} {
			if !slices.Contains(h.Asked(), request) {
				t.Errorf("%s: %q", message, h.Asked())
			}
		}
	}
}

func TestReconnects(t *testing.T) {
	h := &emulator.Host{Script: []string{"reset", "ping"}}
	isClosed := false
	said := emulate(t, h, func() bool {
		if !isClosed && len(h.Exchanges()) == 2 && h.Idle() > 10 {
			// As after a suspension, or on another host.
			isClosed = true
			h.CloseChannels()
			h.Push("reset", "ping")
		}
		return len(h.Exchanges()) == 4 && h.Idle() > 20
	}, daemon(t))
	if strings.Count(said, "tries again") != 1 || strings.Count(said, "answers again") != 1 {
		t.Errorf("%q", said)
	}
	names := 0
	for _, request := range h.Asked() {
		if strings.HasPrefix(request, "SetGuestInfo  1 ") {
			names++
		}
	}
	if names != 2 {
		t.Errorf("the host name was sent %d times: %q", names, h.Asked())
	}
}

func TestSurvivesHostileHosts(t *testing.T) {
	program := daemon(t)
	// Each is applied to calls of a kind, once.
	for name, c := range map[string]struct {
		kind  uint32
		spoil func(*backdoor.Registers)
	}{
		"oversized":       {3, func(r *backdoor.Registers) { r.BX, r.CX, r.DX = 0xffffffff, 3<<16|30, 1<<16|0x5658 }},
		"above the limit": {3, func(r *backdoor.Registers) { r.BX, r.CX, r.DX = backdoor.MaxMessage+1, 3<<16|30, 1<<16|0x5658 }},
		"not a size":      {3, func(r *backdoor.Registers) { r.BX, r.CX, r.DX = 4, 3<<16|30, 2<<16|0x5658 }},
		"not a part":      {4, func(r *backdoor.Registers) { r.DX = 7<<16 | 0x5658 }},
		"failing":         {4, func(r *backdoor.Registers) { r.CX = 0 }},
		"all ones": {1, func(r *backdoor.Registers) {
			*r = backdoor.Registers{AX: 0xffffffff, BX: 0xffffffff, CX: 0xff0effff, DX: 0xffffffff, SI: 0xffffffff, DI: 0xffffffff}
		}},
		"checkpoint": {1, func(r *backdoor.Registers) { r.CX = 0x10 << 16 }},
	} {
		t.Run(name, func(t *testing.T) {
			spoilt, pings := false, 0
			h := &emulator.Host{Script: []string{"ping", "\x00\xff garbage", strings.Repeat("x", backdoor.MaxMessage)}}
			h.Spoil = func(call backdoor.Registers, r *backdoor.Registers) {
				if call.CX == c.kind<<16|30 && !spoilt {
					spoilt = true
					h.Push("reset", "Capabilities_Register", "ping last")
					c.spoil(r)
				}
			}
			last := func() bool {
				all := h.Exchanges()
				return len(all) > 0 && all[len(all)-1].Message == "ping last"
			}
			said := emulate(t, h, last, program)
			for _, e := range h.Exchanges() {
				if e.Answer == "OK " {
					pings++
				}
			}
			if !spoilt || pings < 2 || strings.Contains(said, "error") || strings.Contains(said, "goroutine") {
				t.Errorf("%v, %d: %q", spoilt, pings, said)
			}
		})
	}
}

// TestIsConfined compares the agent with its role in roles.json.
func TestIsConfined(t *testing.T) {
	program := daemon(t)
	h := &emulator.Host{Script: []string{"reset", "ping"}}
	problems := []string{"no agent"}
	emulate(t, h, func() bool {
		if len(h.Exchanges()) == 2 && h.Idle() > 10 {
			problems = emulator.Unconfined(program, "vmtoolsd-agent", 695)
			return true
		}
		return false
	}, program)
	if len(problems) > 0 {
		t.Error(strings.Join(problems, ", "))
	}
}

func TestEndsWhereTheHostRefusesThePort(t *testing.T) {
	said := emulate(t, &emulator.Host{IsRestricted: true}, never, daemon(t))
	if said != "vmtoolsd: the host refuses the I/O port of its tools, so no host asks\n" {
		t.Errorf("%q", said)
	}
}
