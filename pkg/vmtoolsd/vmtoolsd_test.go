package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"lkt/shutdown"
	"lkt/vmware/backdoor"
	"lkt/vmware/emulator"
)

// network is what a description of the network says.
type network struct {
	host  string
	links []string
}

// reader decodes XDR, and fails the test at an invalid value.
type reader struct {
	t    *testing.T
	rest []byte
}

func (r *reader) number() int {
	if len(r.rest) < 4 {
		r.t.Fatal("the description of the network is cut off")
	}
	n := binary.BigEndian.Uint32(r.rest)
	r.rest = r.rest[4:]
	return int(n)
}

func (r *reader) bytes() []byte {
	n := r.number()
	padded := (n + 3) &^ 3
	if len(r.rest) < padded {
		r.t.Fatal("the description of the network is cut off")
	}
	b := r.rest[:n]
	r.rest = r.rest[padded:]
	return b
}

func (r *reader) list(item func()) {
	for range r.number() {
		item()
	}
}

// address decodes a TypedIpAddress.
func (r *reader) address() string {
	kind := r.number()
	return fmt.Sprintf("%d %v", kind, net.IP(r.bytes()))
}

func (r *reader) resolver() (host string) {
	r.list(func() {
		r.list(func() { host = string(r.bytes()) })
		r.list(func() { r.bytes() })
		r.list(func() { r.address() })
		r.list(func() { r.bytes() })
	})
	return host
}

func (r *reader) wins() { r.list(func() { r.address(); r.address() }) }

func (r *reader) dhcp() {
	for range 2 {
		r.list(func() { r.number(); r.bytes() })
	}
}

// decode decodes a GuestNicProto (nicinfo.x of open-vm-tools). An optional value is a list.
func decode(t *testing.T, text string) network {
	t.Helper()
	r := &reader{t, []byte(text)}
	if version, found := r.number(), r.number(); version != 3 || found != 1 {
		t.Fatalf("version %d, %d", version, found)
	}
	var n network
	r.list(func() {
		l := string(r.bytes())
		var addresses []string
		r.list(func() {
			a := fmt.Sprintf("%s/%d", r.address(), r.number())
			r.list(func() { r.number() })
			status := "none"
			r.list(func() { status = fmt.Sprint(r.number()) })
			addresses = append(addresses, a+" status "+status)
		})
		slices.Sort(addresses)
		r.resolver()
		r.wins()
		r.dhcp()
		n.links = append(n.links, l+" "+strings.Join(addresses, ", "))
	})
	slices.Sort(n.links)
	r.list(func() {
		r.address()
		r.number()
		r.list(func() { r.address() })
		r.number()
		r.number()
		r.number()
	})
	n.host = r.resolver()
	r.wins()
	r.dhcp()
	if len(r.rest) > 0 {
		t.Fatalf("%d bytes follow", len(r.rest))
	}
	return n
}

func TestDescribesTheNetwork(t *testing.T) {
	ipv4 := net.IPNet{IP: net.IPv4(192, 0, 2, 7), Mask: net.CIDRMask(24, 32)}
	ipv6 := net.IPNet{IP: net.ParseIP("2001:db8::7"), Mask: net.CIDRMask(64, 128)}
	links := []link{{"02:00:00:00:00:01", []net.IPNet{ipv6, ipv4}}, {"02:00:00:00:00:02", nil}}
	got := decode(t, string(encodeLinks(links)))
	want := []string{"02:00:00:00:00:01 1 192.0.2.7/24 status 1, 2 2001:db8::7/64 status 5", "02:00:00:00:00:02 "}
	if name, _ := os.Hostname(); !slices.Equal(got.links, want) || got.host != name {
		t.Errorf("%q", got)
	}
	if ip := primary(links); ip.String() != "192.0.2.7" {
		t.Error(ip)
	}
	if ip := primary([]link{{"", []net.IPNet{{IP: net.ParseIP("fe80::1")}, ipv6}}}); ip.String() != "2001:db8::7" {
		t.Error(ip)
	}
}

// QEMU and other hosts have other signatures, or no port.
func TestStopsElsewhere(t *testing.T) {
	if backdoor.IsVMware() {
		t.Skip("this machine is VMware's")
	}
	text, err := exec.Command(daemon(t)).CombinedOutput()
	if err != nil || string(text) != "vmtoolsd: this machine does not run on VMware, so no host asks\n" {
		t.Errorf("%v, %q", err, text)
	}
	if text, err := exec.Command(daemon(t), "-x").CombinedOutput(); err == nil || !strings.Contains(string(text), `unexpected argument "-x"`) {
		t.Errorf("%v, %q", err, text)
	}
}

var errEnd = errors.New("the end of the test")

func TestPausesWhenTheHostDoesNot(t *testing.T) {
	h := &emulator.Host{}
	for range 3 * maxBurst {
		h.Push("ping")
	}
	var pauses []time.Duration
	a := newAgent(h.Call, nil)
	a.sleep = func(d time.Duration) { pauses = append(pauses, d) }
	a.call = func(r *backdoor.Registers) error {
		if h.Idle() > 10 {
			return errEnd
		}
		return h.Call(r)
	}
	if err := a.connect(func() {}); !errors.Is(err, errEnd) {
		t.Fatal(err)
	}
	want := slices.Concat(slices.Repeat([]time.Duration{0}, maxBurst), slices.Repeat([]time.Duration{maxDelay}, 2*maxBurst))
	if got := pauses[:3*maxBurst]; !slices.Equal(got, want) {
		t.Error(got)
	}
	// Afterwards it is asked ten times a second, as at the end of a growing pause.
	h, pauses = &emulator.Host{}, nil
	if err := a.connect(func() {}); !errors.Is(err, errEnd) {
		t.Fatal(err)
	}
	const ms = time.Millisecond
	if got := pauses[:6]; !slices.Equal(got, []time.Duration{10 * ms, 20 * ms, 40 * ms, 80 * ms, 100 * ms, 100 * ms}) {
		t.Error(got)
	}
}

// A snapshot during a message fails one of its calls. The channel stays.
func TestRepeatsMessagesAfterSnapshots(t *testing.T) {
	const kinds = 0xffff << 16
	for _, kind := range []uint32{1, 2, 3, 4, 5} {
		h := &emulator.Host{Script: []string{"ping", "reset"}}
		isInterrupted := false
		a := newAgent(nil, nil)
		a.sleep = func(time.Duration) {}
		a.call = func(r *backdoor.Registers) error {
			if h.Idle() > 10 {
				return errEnd
			}
			if r.CX&kinds == kind<<16 && len(h.Exchanges()) == 0 && !isInterrupted {
				isInterrupted = true
				r.CX = 0x10 << 16
				return nil
			}
			return h.Call(r)
		}
		if err := a.connect(func() {}); !errors.Is(err, errEnd) {
			t.Errorf("kind %d: %v", kind, err)
		}
		want := []emulator.Exchange{{Message: "ping", Answer: "OK "}, {Message: "reset", Answer: "OK ATR toolbox"}}
		if got := h.Exchanges(); !slices.Equal(got, want) {
			t.Errorf("kind %d: %q", kind, got)
		}
		if !isInterrupted {
			t.Errorf("kind %d was not interrupted", kind)
		}
	}
}

func TestFallsBackForOldHosts(t *testing.T) {
	h := &emulator.Host{Script: []string{"reset", "Capabilities_Register"}, Refuse: []string{"tools.set.versiontype", "SetGuestInfo  10"}}
	a := newAgent(h.Call, nil)
	a.sleep = func(time.Duration) {}
	a.call = func(r *backdoor.Registers) error {
		if h.Idle() > 10 {
			return errEnd
		}
		return h.Call(r)
	}
	if err := a.connect(func() {}); !errors.Is(err, errEnd) {
		t.Fatal(err)
	}
	if !slices.Contains(h.Asked(), "tools.set.version 2147483647\x00") {
		t.Errorf("%q", h.Asked())
	}
	decode(t, fact(h, "9"))
}

func TestOptions(t *testing.T) {
	a := newAgent(func(*backdoor.Registers) error { return errEnd }, nil)
	for message, want := range map[string]string{
		"Set_Option broadcastIP 0":               "OK ",
		"Set_Option toolScripts.beforeSuspend 1": "OK ",
		"Set_Option toolScripts.beforeSuspend":   "ERROR Unknown or invalid option",
		"Set_Option broadcastIP yes":             "ERROR Unknown or invalid option",
		"Set_Option synctime 1":                  "ERROR Unknown or invalid option",
		"Set_Option":                             "ERROR Unknown or invalid option",
		"":                                       "ERROR Unknown Command",
		"OS_Suspend":                             "OK ",
	} {
		if got := string(a.answer([]byte(message))); got != want {
			t.Errorf("%q: %q", message, got)
		}
	}
}

// FuzzHost has a conversation with a host that breaks the protocol where the input says so. The
// conversation ends with the input.
func FuzzHost(f *testing.F) {
	f.Add("reset|ping|Capabilities_Register|Set_Option broadcastIP 1", bytes.Repeat([]byte{0}, 400))
	f.Add("OS_Halt|OS_Reboot|OS_Resume", bytes.Repeat([]byte{0, 0, 0, 0, 0, 0xf3, 0xff, 0xff, 0xff, 0xff}, 60))
	f.Add("ping", bytes.Repeat([]byte{0, 0xf1, 4, 0, 3, 0, 0, 0xf2, 0, 0, 1, 0}, 60))
	f.Fuzz(func(t *testing.T, script string, spoil []byte) {
		h := &emulator.Host{Script: strings.Split(script, "|")}
		isAsked := false
		for _, message := range h.Script {
			name, _, _ := strings.Cut(message, " ")
			name = strings.TrimRight(name, "\x00")
			isAsked = isAsked || name == "OS_Halt" || name == "OS_Reboot"
		}
		isSpoilt, powers := false, 0
		a := newAgent(nil, func(shutdown.Mode) error { powers++; return nil })
		a.sleep = func(time.Duration) {}
		a.call = func(r *backdoor.Registers) error {
			if len(spoil) == 0 {
				return errEnd
			}
			_ = h.Call(r)
			which := spoil[0]
			spoil = spoil[1:]
			if which < 0xf0 || len(spoil) < 4 {
				return nil
			}
			isSpoilt = true
			value := binary.LittleEndian.Uint32(spoil)
			spoil = spoil[4:]
			*[]*uint32{&r.AX, &r.BX, &r.CX, &r.DX, &r.SI, &r.DI}[int(which-0xf0)%6] = value
			return nil
		}
		for len(spoil) > 0 {
			if err := a.connect(func() {}); err == nil {
				t.Fatal("the conversation ended without an error")
			}
		}
		if powers > 1 || powers == 1 && !isAsked && !isSpoilt {
			t.Fatalf("%d shutdowns", powers)
		}
		if violations := h.Violations(); !isSpoilt && len(violations) > 0 {
			t.Fatal(violations)
		}
		for _, text := range a.sent {
			if len(text) > backdoor.MaxMessage {
				t.Fatal("a fact is too long")
			}
		}
	})
}
