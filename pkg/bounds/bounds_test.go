package bounds

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"
)

var (
	start = time.Unix(0, 0)
	usual = Limits{Total: 10, PerAddress: 5, Time: 20 * time.Second}
)

func address(text string) netip.Addr { return netip.MustParseAddr(text) }

func TestIdleConnectionsDoNotLockOutTheirAddress(t *testing.T) {
	table := New(usual)
	for id := range uint32(5) {
		if ended := table.Add(id, address("192.0.2.1"), start); ended != nil {
			t.Fatal(id, ended)
		}
	}
	if ended := table.Add(5, address("192.0.2.1"), start); !slices.Equal(ended, []uint32{0}) {
		t.Error(ended)
	}
	if !table.Remove(5) {
		t.Error("no place")
	}
}

func TestBusyAddressDoesNotLockOutOthers(t *testing.T) {
	table := New(usual)
	table.Add(100, address("192.0.2.2"), start)
	for id := range uint32(50) {
		table.Add(id, address("192.0.2.1"), start)
	}
	for id := range uint32(50) {
		table.Add(50+id, address("198.51.100.1"), start)
	}
	if !table.Remove(100) {
		t.Error("ended by others")
	}
}

func TestAddressesOfA64CountAsOne(t *testing.T) {
	table := New(usual)
	ended := 0
	for id := range uint32(8) {
		ended += len(table.Add(id, address(fmt.Sprintf("2001:db8::%x", id+1)), start))
	}
	if ended != 3 {
		t.Error(ended)
	}
	if ended := table.Add(8, address("2001:db8:0:1::1"), start); ended != nil {
		t.Error(ended)
	}
	if Source(address("::ffff:192.0.2.1")) != Source(address("192.0.2.1")) {
		t.Error("a mapped address is another")
	}
}

func TestTotalIsBounded(t *testing.T) {
	table := New(usual)
	alive := map[uint32]bool{}
	for id := range uint32(200) {
		alive[id] = true
		for _, old := range table.Add(id, address(fmt.Sprintf("10.0.%d.%d", id%7, id)), start) {
			delete(alive, old)
		}
	}
	if len(alive) != 10 {
		t.Error(len(alive))
	}
}

// One network has many addresses: a /48 has 65536 of /64.
func TestBusyNetworkDoesNotLockOutOthers(t *testing.T) {
	for name, hostile := range map[string]func(id uint32) string{
		"/48":        func(id uint32) string { return fmt.Sprintf("2001:db8:1:%x::1", id) },
		"/32":        func(id uint32) string { return fmt.Sprintf("2001:db8:%x::1", id+2) },
		"/24":        func(id uint32) string { return fmt.Sprintf("198.51.100.%d", id%256) },
		"/16":        func(id uint32) string { return fmt.Sprintf("198.51.%d.1", id%256) },
		"mapped /16": func(id uint32) string { return fmt.Sprintf("::ffff:198.51.%d.1", id%256) },
	} {
		clients := []string{"2001:db8:2::1", "203.0.113.1", "2001:0:2::1"}
		if name == "/32" {
			clients = clients[1:]
		}
		table := New(usual)
		for id, client := range clients {
			table.Add(uint32(id), address(client), start)
		}
		for id := range uint32(1000) {
			table.Add(1000+id, address(hostile(id)), start)
		}
		for id, client := range clients {
			if !table.Remove(uint32(id)) {
				t.Errorf("%s: %s was ended", name, client)
			}
		}
	}
}

func TestExpireEndsOldConnections(t *testing.T) {
	table := New(usual)
	table.Add(1, address("192.0.2.1"), start)
	table.Add(2, address("192.0.2.1"), start.Add(time.Second))
	table.Add(3, address("192.0.2.1"), start.Add(2*time.Second))
	table.Remove(2)
	ended, next := table.Expire(start.Add(19 * time.Second))
	if ended != nil || next != start.Add(20*time.Second) {
		t.Error(ended, next)
	}
	ended, next = table.Expire(start.Add(21 * time.Second))
	if !slices.Equal(ended, []uint32{1}) || next != start.Add(22*time.Second) {
		t.Error(ended, next)
	}
}
